"""Center smoothing in a run: one metric, or several that are read off the same outputs."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from experiments.certifying.task import Row, Task, row
from experiments.data import Dataset
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import OUTPUT, Key
from experiments.training.base_function import example_of, input_of
from smoothing import CenterDraws, CenterSmoothing, ExactCenterSmoothing, SettingError
from smoothing.sampling import Procedure
from smoothing.together import together


class CenterTask(Task):
    """Center smoothing: one row for each eps, all read off the same draws, which are kept."""

    schema = OUTPUT

    def __init__(self, certifier: CenterSmoothing | ExactCenterSmoothing, eps: list[float]) -> None:
        self.certifier, self.eps, self.f, self.engine = certifier, eps, certifier.f, certifier.engine
        self.noise = certifier.noise
        if isinstance(certifier, CenterSmoothing):
            certifier.require_feasible(eps)
            self.samples_each = certifier.samples
        else:
            self.samples_each = certifier.noise.steps

    def keys(self, index: int) -> list[Key]:
        return [(float(index), radius) for radius in self.eps]

    def all_rows(
        self, dataset: Dataset, indices: Iterable[int], device: torch.device, folder: RunFolder
    ) -> Iterator[list[Row]]:
        for (rows,) in rows_together([self], dataset, indices, device, [folder]):
            yield rows


def rows_together(
    tasks: Sequence[CenterTask],
    dataset: Dataset,
    indices: Iterable[int],
    device: torch.device,
    folders: Sequence[RunFolder],
) -> Iterator[list[list[Row]]]:
    """The rows of each example by each task, in order; draws are kept in the tasks' folders.

    Tasks of one model, one noise and equal n and m are read off the same outputs: an example's seconds are shared out.
    """
    begun = deque[tuple[int, list[float | None]]]()  # with the seconds that draws took earlier

    def procedures() -> Iterator[Procedure[list[CenterDraws]]]:
        for index in indices:
            kept = [folder.load(index) for folder in folders]
            begun.append((index, [found and found[1] for found in kept]))
            x = _input(tasks[0].f.f, dataset, index, device) if None in kept else None
            yield together(
                [
                    task.certifier.drawing(x, example=index) if x is not None and found is None else _kept(found)
                    for task, found in zip(tasks, kept, strict=True)
                ]
            )

    for all_draws, seconds in tasks[0].certifier.engine.run_all(procedures()):
        index, earlier = begun.popleft()
        share = seconds / max(1, earlier.count(None))
        each = []
        for task, folder, draws, before in zip(tasks, folders, all_draws, earlier, strict=True):
            if before is None:
                folder.save(index, draws, share)
            certificates = (task.certifier.read(draws, radius) for radius in task.eps)
            took = share if before is None else before
            each.append([row(task.schema, c, index=index, seconds=took) for c in certificates])
        yield each


def _input(model: Any, dataset: Dataset, index: int, device: torch.device) -> Tensor:
    return input_of(model, example_of(dataset, index, model, device)[None])[0]


def _kept(found: tuple[CenterDraws, float] | None) -> Procedure[CenterDraws]:
    assert found
    return found[0]
    yield  # that makes it a procedure


def input_radii(eps: Any) -> list[float]:
    """`eps` of a run as a list, each radius once. Raises SettingError."""
    radii = eps if isinstance(eps, list) else [eps]
    for radius in radii:
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < float("inf"):
            raise SettingError(f"eps: expected numbers of at least 0, as 0.1 or [0.1,0.2], got {radius}")
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1,0.2]")
    return list(dict.fromkeys(float(radius) for radius in radii))
