"""The certification run: example by example, into the run folder, continuing what is there."""

import inspect
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class
from torch import Tensor
from tqdm import tqdm

from experiments.base_functions import build_model, build_noise, input_of, training_of
from experiments.composition import build, identity
from experiments.data import Dataset
from experiments.memory import keep_freed_memory
from experiments.run_folder import RunFolder
from experiments.stopping import stop_if_asked
from experiments.table import TableWriter, read_table
from experiments.tasks import Task, input_radii, pending, task_for
from smoothing import CenterSettings, Noise, Predict, SettingError
from smoothing.matching import matched_settings


def certify(plain: dict[str, Any]) -> Path:
    """Certify the chosen examples and return the run's table.

    Examples whose rows stand in the table are left alone; an example whose draws are kept is only read off again.
    All settings are checked before the first sample is drawn.

    Raises:
        SmoothingError: settings, data or a base function that cannot be used; the message says what to do.
    """
    keep_freed_memory()
    device = choose_device(plain["device"])
    dataset: Dataset = build(plain["dataset"])
    plain = _without_unused_metric(plain)
    _require_its_noise(plain)
    noise = build_noise(plain, dataset) if plain["noise"] else None
    if noise:
        plain = matched(plain, noise)
    certifier = _certifier(plain, build_model(plain, dataset), noise)
    task = task_for(certifier, dataset, plain["eps"])
    if task.announce():
        print(task.announce())
    if isinstance(task.f.f, torch.nn.Module):
        task.f.f.to(device)
    grid = noise.grid if noise else None
    run_identity = identity(plain, dataset.fingerprint(), training_of(plain, dataset), grid)
    folder = RunFolder(Path(plain["results"]["root"]), plain, run_identity, noise.state() if noise else {})
    indices = choose_examples(dataset, plain)

    _warn_of_another_precision(plain, run_identity, folder)
    logger = build(plain["logger"], config=plain) if plain["logger"] else None
    folder.path.mkdir(parents=True, exist_ok=True)
    with TableWriter(folder.table_path, task.schema) as table:
        todo = [index for index in indices if not table.done.issuperset(task.keys(index))]
        if todo:
            folder.begin(_name(device), _prepare(task, dataset[todo[0]].to(device), len(todo), plain, folder))
            if logger and table.done:
                logger.log(read_table(folder.path).to_dict("records"))
            with Progress(len(todo), task.samples_each) as progress:
                if task.engine:
                    task.engine.on_samples = progress.samples
                for all_rows in task.all_rows(dataset, todo, device, folder):
                    rows = pending(all_rows, task.schema, table.done)
                    table.write(rows)
                    progress.example()
                    if logger:
                        logger.log(rows)
                    stop_if_asked()
        folder.end()
    if logger:
        logger.table("certificates", read_table(folder.path))
        logger.finish()
    return folder.table_path


def _prepare(task: Task, image: Tensor, examples: int, plain: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """How the base function is to be computed, as run.json keeps it.

    A batch size that was left open is measured once: a run that continues on the same device takes that of its
    beginning, so that its rows are those of an uninterrupted one to the last digit.
    """
    if task.engine is None:
        return task.f.arithmetic()
    x = input_of(task.f.f, image[None])[0]
    task.f(x[None])
    if plain["batch_size"] is None:
        task.engine.batch_size = folder.batch_size_on(_name(x.device))
    return task.f.arithmetic() | {"batch_size": task.engine.tune(x, examples * task.samples_each)}


def _warn_of_another_precision(plain: dict[str, Any], run_identity: dict[str, Any], folder: RunFolder) -> None:
    """Say so where predictions are asked for at another precision than there are certificates: of another function."""
    if get_class(plain["certifier"]["_target_"]) is not Predict:
        return
    own = {key: value for key, value in run_identity.items() if key not in ("certifier", "seed", "precision")}
    for path in sorted(folder.path.parent.glob("*/run*.json")):
        try:
            other = json.loads(path.read_text())["identity"]
            precision = other.pop("precision")
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # no record of a run, so of no certificates
        if precision != plain["precision"] and own.items() <= other.items():
            print(
                f"{path}: its certificates are for the function at precision={precision}; "
                f"at {plain['precision']} predictions are another function's",
                file=sys.stderr,
            )


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


def matched(plain: dict[str, Any], noise: Noise) -> dict[str, Any]:
    """The configuration with n, m and delta as certifier.match=paper asks for: a run of these is the same run."""
    c = plain["certifier"]
    if c.get("match") != "paper":
        return plain
    if c["bound"] != "exact":
        raise SettingError(f"certifier.match: paper needs certifier.bound=exact, got {c['bound']}")
    settings = CenterSettings(c["bound"], c["delta"], c["alpha1"], c["alpha2"])
    n, m, delta = matched_settings(c["n"], c["m"], input_radii(plain["eps"]), noise, settings)
    print(
        f"certifier.match=paper: n={n}, m={m}, delta={delta:g} prove as much as n={c['n']}, m={c['m']}, "
        f"delta={c['delta']:g} with bound=paper"
    )
    return plain | {"certifier": c | {"n": n, "m": m, "delta": delta, "match": None}}


def _certifier(plain: dict[str, Any], f: torch.nn.Module, noise: Noise | None) -> Any:
    """The certifier, given those of the run's settings that it takes."""
    given = {
        "f": f,
        "noise": noise,
        "metric": build(plain["metric"]) if plain["metric"] else None,
        "seed": plain["seed"],
        "batch_size": plain["batch_size"],
        "precision": plain["precision"],
        "compiled": plain["compiled"],
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

    def __init__(self, examples: int, samples_each: int) -> None:
        self._examples, self._each, self._done = examples, samples_each, 0
        self._bar = tqdm(total=examples * samples_each, unit=" samples", unit_scale=True, disable=None)
        self._started = time.perf_counter()

    def samples(self, count: int) -> None:
        self._bar.update(count)

    def example(self) -> None:
        """One more example is done; it may have taken fewer samples than it could have."""
        self._done += 1
        rate = self._done / max(time.perf_counter() - self._started, 1e-9)
        self._bar.set_description(f"example {self._done}/{self._examples}, {rate:.3g} examples/s")
        self._bar.update(max(0, self._done * self._each - self._bar.n))

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads"
