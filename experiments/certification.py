"""The certification run: example by example, into the run folder, continuing what is there."""

import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class
from tqdm import tqdm

from experiments.base_functions import build_model, build_noise, training_of
from experiments.composition import build, identity
from experiments.data import Dataset
from experiments.run_folder import RunFolder
from experiments.table import TableWriter
from experiments.tasks import pending, task_for
from smoothing import Noise, SettingError


def certify(plain: dict[str, Any]) -> Path:
    """Certify the chosen examples and return the run's table.

    Examples whose rows stand in the table are left alone; an example whose draws are kept is only read off again.
    All settings are checked before the first sample is drawn.

    Raises:
        SmoothingError: settings, data or a base function that cannot be used; the message says what to do.
    """
    device = choose_device(plain["device"])
    dataset: Dataset = build(plain["dataset"])
    plain = _without_unused_metric(plain)
    _require_its_noise(plain)
    noise = build_noise(plain, dataset) if plain["noise"] else None
    certifier = _certifier(plain, build_model(plain, dataset), noise)
    task = task_for(certifier, dataset, plain["eps"])
    if task.announce():
        print(task.announce())
    if isinstance(task.f.f, torch.nn.Module):
        task.f.f.to(device)
    indices = choose_examples(dataset, plain)
    run_identity = identity(plain, dataset.fingerprint(), training_of(plain, dataset))
    folder = RunFolder(Path(plain["results"]["root"]), plain, run_identity, noise.state() if noise else {})

    logger = build(plain["logger"], config=plain) if plain["logger"] else None
    folder.path.mkdir(parents=True, exist_ok=True)
    with TableWriter(folder.table_path, task.schema) as table:
        todo = [index for index in indices if not table.done.issuperset(task.keys(index))]
        if todo:
            folder.begin(_name(device))
            with Progress(todo, task.samples_each) as progress:
                task.report_samples(progress.samples)
                for index in progress:
                    rows = pending(task.rows(dataset, index, device, folder), task.schema, table.done)
                    table.write(rows)
                    if logger:
                        logger.log(rows)
            folder.end()
    return folder.table_path


def _without_unused_metric(plain: dict[str, Any]) -> dict[str, Any]:
    """The configuration, without a metric where the certifier takes none. Raises SettingError where it wants one."""
    if "metric" not in _parameters(plain["certifier"]):
        return plain | {"metric": None}
    if not plain["metric"]:
        name = plain["certifier"]["_target_"].rpartition(".")[2]
        raise SettingError(f"metric: {name} needs one, such as metric=l2")
    return plain


def _require_its_noise(plain: dict[str, Any]) -> None:
    """Raises SettingError where the certifier wants a noise and there is none."""
    if "noise" in _parameters(plain["certifier"]) and not plain["noise"]:
        name = plain["certifier"]["_target_"].rpartition(".")[2]
        raise SettingError(f"noise: {name} needs one, such as noise=gaussian")


def _certifier(plain: dict[str, Any], f: torch.nn.Module, noise: Noise | None) -> Any:
    """The certifier, given those of the run's settings that it takes."""
    given = {
        "f": f,
        "noise": noise,
        "metric": build(plain["metric"]) if plain["metric"] else None,
        "seed": plain["seed"],
        "batch_size": plain["batch_size"],
        "precision": plain["precision"],
    }
    wanted = _parameters(plain["certifier"])
    return build(plain["certifier"], **{name: value for name, value in given.items() if name in wanted})


def _parameters(node: dict[str, Any]) -> set[str]:
    return set(inspect.signature(get_class(node["_target_"])).parameters)


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


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
