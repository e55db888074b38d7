"""A few numbers that the model, the noise and the metric of a run compute, to notice that one of them has changed.

The identity and `Contents` cover settings, source code and weights. They miss what code reads elsewhere: a file, a
closure, a single number in an object. So each start that samples records in run.json what is computed at one example,
and compares it with what earlier starts recorded. Runs of earlier versions have no record and are not compared.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.certifying.rows import Certification
from experiments.data import Dataset, MissingDataError
from experiments.runs.reader import read_record
from experiments.training.base_function import example_of, input_of
from smoothing import FiniteNoise, Metric, Noise, SettingError, SmoothingError
from smoothing.arithmetic import fixed_arithmetic
from smoothing.base_function import ROUGH_UNIT
from smoothing.sampling import AllCopies, Samples, whole
from smoothing.streams import Stage, Stream
from smoothing.user_code import shown

COPIES = 4  # noisy copies
MOST = 16  # recorded numbers of each kind
CLOSE = 1e-4  # rounding of f, relative to the largest number
DISTANCE_CLOSE = 1e-3  # the same for distances of its outputs, which may be close to each other
ROUGHLY = 0.03  # both if f computes with few digits, as at bfloat16
NOISE_CLOSE = 1e-5  # the same for noisy copies: float32, and few operations


class Computed:
    """What several runs with the same f and noise compute. Each example is evaluated once, when it is asked for.

    No certificate uses the noisy copies: they have a stream of their own. Rows are evaluated one by one, outside of the
    engine.

    Args:
        runs: the certifications.
        dataset: the data set.
        device: to compute on.
        seed: of the runs.
    """

    def __init__(self, runs: Sequence[Certification], dataset: Dataset, device: torch.device, seed: int) -> None:
        self._runs, self._dataset, self._device, self._seed = runs, dataset, device, seed
        self._f = runs[0].certifier.f.uncompiled()  # it would be compiled for batches of 1
        self._known: dict[int, list[dict[str, Any]]] = {}

    def records(self, examples: Sequence[int]) -> list[dict[str, Any]]:
        """What each run computes at the first of these examples that can be read, for run.json. Not empty.

        Raises:
            MissingDataError: none can be read.
            SmoothingError: f or the noise fails.
        """
        for example in examples[:-1]:
            with suppress(MissingDataError):
                return self._at(example)
        return self._at(examples[-1])

    def require_same(self, k: int, folder: Path) -> None:
        """Compare run k with what the records in a folder say that its rows are of.

        A difference from a record of another device or version of torch only prints a warning: these also change the
        numbers.

        Raises:
            SmoothingError: the rows are of another model, noise or metric.
        """
        for path, old in _recorded(folder):
            try:
                new = self._at(old["example"])[k]
            except (MissingDataError, SettingError):
                continue  # the example is there no longer
            if not (names := self._differing(old, new)):
                continue
            changed = f"what it computes at example {old['example']} has changed"
            if all(old[name] == new[name] for name in ("device", "torch")):
                raise SmoothingError(
                    f"{path}: its rows are of another {' and another '.join(names)}: {changed}, though its settings "
                    "have not; move the folder away, or set another results.root"
                )
            print(
                f"{path}: its rows may be of another {' and another '.join(names)}: what {old['device']} and torch "
                f"{old['torch']} computed at example {old['example']} differs by more than rounding; if you "
                "have changed it, set another results.root",
                file=sys.stderr,
            )

    def agrees(self, k: int, folder: Path) -> bool:
        """Whether `require_same` finds no difference that it refuses."""
        try:
            self.require_same(k, folder)
        except SmoothingError:
            return False
        return True

    def _differing(self, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
        """Which of model, noise and metric differ. One that is given other inputs is not compared."""
        rough = self._f.unit(torch.float32) >= ROUGH_UNIT
        f, metric = (ROUGHLY, ROUGHLY) if rough else (CLOSE, DISTANCE_CLOSE)
        allowed = {"model": f, "model_of_noise": f, "noise": NOISE_CLOSE, "metric": metric}
        same = {name: _close(old[name], new[name], tolerance) for name, tolerance in allowed.items()}
        if old["device"] != new["device"]:  # which draws other noise
            return [] if same["model"] else ["model"]
        model = same["model"] and (same["model_of_noise"] or not same["noise"])
        distances = same["metric"] or not (model and same["noise"]) or not new["metric"]
        found = {"model": model, "noise": same["noise"], "metric": distances}
        return [name for name, equal in found.items() if not equal]

    def _at(self, example: int) -> list[dict[str, Any]]:
        if example not in self._known:
            self._known[example] = self._compute(example)
        return self._known[example]

    def _compute(self, example: int) -> list[dict[str, Any]]:
        f, noise = self._f, self._runs[0].certifier.noise
        x = input_of(f.f, example_of(self._dataset, example, f.f, self._device)[None])[0]
        with fixed_arithmetic(x.device):
            center = f(x[None])
            with shown("noise", always=False):
                copies = _copies(x, noise, Stream(self._seed, example, Stage.COMPARISON))
            outputs = torch.cat([center[:0], *(f(copy[None]) for copy in copies)])
            distances = [_distances(getattr(run.certifier, "metric", None), outputs, center) for run in self._runs]
        where = torch.cuda.get_device_name(x.device) if x.is_cuda else x.device.type
        found = {
            "example": example,
            "device": where,
            "torch": torch.__version__,
            "model": _numbers(center, MOST),
            "noise": _of_each(copies),
            "model_of_noise": _of_each(outputs),
        }
        return [found | {"metric": _numbers(each, MOST)} for each in distances]


def _copies(x: Tensor, noise: Noise | None, stream: Stream) -> Tensor:
    """The first noisy copies of x, (*shape), in a stream or of a finite noise: (k, *shape); k = 0 without noise."""
    if noise is None:
        return x.new_empty(0, *x.shape)
    noise.require(x)
    request = AllCopies(x, noise, whole) if isinstance(noise, FiniteNoise) else Samples(x, noise, whole, stream, COPIES)
    copies = x.new_empty(min(COPIES, request.count), *x.shape)
    request.writer()(copies)
    return copies


def _distances(metric: object, outputs: Tensor, center: Tensor) -> Tensor:
    """Distances of outputs, (n, *shape), from another, (1, *shape): (n,). Empty if there is no metric, or if it fails.

    The checks of a metric's first outputs are left to the outputs that are certified. They say how it fails.
    """
    if isinstance(metric, Metric) and len(outputs):
        with suppress(Exception):
            found = type(metric).__call__.unchecked(metric, outputs, center)  # type: ignore[attr-defined]
            return torch.as_tensor(found).double()
    return center.new_empty(0)


def _of_each(rows: Tensor) -> list[float | str]:
    return [number for row in rows for number in _numbers(row, MOST // COPIES)]


def _numbers(values: Tensor, most: int) -> list[float | str]:
    """At most `most` numbers of a tensor, for JSON.

    They are all, or some at fixed places, with the mean and the root mean square of those that are finite: noise may
    leave out pixels as NaN.
    """
    flat = values.detach().cpu().double().flatten()
    if len(flat) > most:
        places = ((torch.arange(most - 2) + 0.5) * (len(flat) / (most - 2))).long()
        known = flat[flat.isfinite()]
        flat = torch.cat([flat[places], known.mean()[None], known.square().mean().sqrt()[None]])
    return [float(f"{value:.7g}") if isfinite(value) else str(value) for value in flat.tolist()]


def _close(old: list[float | str], new: list[float | str], tolerance: float) -> bool:
    """Whether two lists of numbers are equal up to rounding, relative to the largest; NaN equals NaN."""
    if len(old) != len(new):
        return False
    a, b = (np.array([float(each) for each in numbers]) for numbers in (old, new))
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    one, other = a[finite], b[finite]
    return bool(
        np.all(np.abs(one - other) <= tolerance * max(np.abs(one).max(initial=0), np.abs(other).max(initial=0)))
    )


def _recorded(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What each start of a run, of any shard, has recorded, with the path of its run.json. Raises SettingError."""
    for path in sorted(folder.glob("run*.json")):
        record = read_record(path)
        for start in (record, *record.get("resumed", [])):
            if found := start.get("computed"):
                yield path, found
