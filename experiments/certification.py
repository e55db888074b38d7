"""The certification run: example by example, into the run folder, continuing what is there."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from experiments.composition import build, identity
from experiments.data import Dataset
from experiments.run_folder import RunFolder
from experiments.table import TableWriter, row
from smoothing import CenterSmoothing, SettingError


def certify(plain: dict[str, Any]) -> Path:
    """Certify the chosen examples and return the run's table.

    Examples whose rows stand in the table are left alone; an example whose draws are kept is only read off again.
    All settings are checked before the first sample is drawn.

    Raises:
        SmoothingError: settings, data or a base function that cannot be used; the message says what to do.
    """
    device = choose_device(plain["device"])
    dataset: Dataset = build(plain["dataset"])
    certifier: CenterSmoothing = build(
        plain["certifier"],
        f=build(plain["model"]),
        noise=build(plain["noise"]),
        metric=build(plain["metric"]),
        seed=plain["seed"],
        batch_size=plain["batch_size"],
        precision=plain["precision"],
    )
    eps = _radii(plain["eps"])
    certifier.require_feasible(eps)
    if isinstance(certifier.f.f, torch.nn.Module):
        certifier.f.f.to(device)
    indices = choose_examples(dataset, plain)
    folder = RunFolder(Path(plain["results"]["root"]), plain, identity(plain, dataset.fingerprint()))

    logger = build(plain["logger"], config=plain) if plain["logger"] else None
    folder.path.mkdir(parents=True, exist_ok=True)
    with TableWriter(folder.table_path) as table:
        todo = [index for index in indices if any((index, radius) not in table.done for radius in eps)]
        if todo:
            folder.begin(_name(device))
            with Progress(todo, 2 * certifier.n + certifier.m) as progress:
                certifier.on_samples = progress.samples
                for index in progress:
                    rows = _rows(certifier, folder, dataset, index, eps, device, table.done)
                    table.write(rows)
                    if logger:
                        logger.log(rows)
            folder.end()
    return folder.table_path


def choose_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:<k> as a device that is there. Raises SettingError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SettingError(f"device: expected auto, cpu or cuda, got {name}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SettingError("device: torch sees no CUDA device here; use device=cpu or device=auto")
    return device


def choose_examples(dataset: Dataset, plain: dict[str, Any]) -> list[int]:
    """`indices`, or the data set's own choice; the first `limit` of them; this shard's share. Raises SettingError."""
    indices, limit, shard = plain["indices"], plain["limit"], plain["shard"]
    if limit is not None and limit < 1:
        raise SettingError(f"limit: expected at least 1, got {limit}")
    if indices is None:
        chosen = dataset.indices()
    else:
        chosen = list(dict.fromkeys(indices))
        for index in chosen:
            try:
                dataset[index]
            except IndexError as error:
                raise SettingError(f"indices: {error}") from error
    return chosen[:limit][shard["index"] :: shard["count"]]


class Progress:
    """A bar with examples and samples a second and the time left; silent where there is no terminal."""

    def __init__(self, indices: list[int], samples_each: int) -> None:
        self._indices, self._each = indices, samples_each
        self._bar = tqdm(total=len(indices) * samples_each, unit=" samples", unit_scale=True, disable=None)
        self._started = time.perf_counter()

    def samples(self, count: int) -> None:
        self._bar.update(count)

    def __iter__(self) -> Iterator[int]:
        for number, index in enumerate(self._indices):
            rate = number / max(time.perf_counter() - self._started, 1e-9)
            self._bar.set_description(f"example {number + 1}/{len(self._indices)}, {rate:.3g} examples/s")
            yield index
            self._bar.update((number + 1) * self._each - self._bar.n)  # an abstention draws fewer samples

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def _rows(
    certifier: CenterSmoothing,
    folder: RunFolder,
    dataset: Dataset,
    index: int,
    eps: list[float],
    device: torch.device,
    done: set[tuple[int, float]],
) -> list[dict[str, Any]]:
    kept = folder.load(index)
    if kept is None:
        x: Tensor = dataset[index].to(device)
        started = time.perf_counter()
        draws = certifier.draw(x, example=index)
        seconds = time.perf_counter() - started
        folder.save(index, draws, seconds)
    else:
        draws, seconds = kept
    return [row(index, certifier.read(draws, radius), seconds) for radius in eps if (index, radius) not in done]


def _radii(eps: Any) -> list[float]:
    radii = eps if isinstance(eps, list) else [eps]
    for radius in radii:
        if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0 <= radius < float("inf"):
            raise SettingError(f"eps: expected numbers of at least 0, as 0.1 or [0.1,0.2], got {radius}")
    if not radii:
        raise SettingError("eps: expected at least one number, as 0.1 or [0.1,0.2]")
    return list(dict.fromkeys(float(radius) for radius in radii))


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
