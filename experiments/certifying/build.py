"""From checked settings to what runs: the certifier at work on its data set, and the folder of its results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from experiments.certifying.contents import contents_of
from experiments.certifying.outputs import CenterTask, input_radii
from experiments.certifying.task import Task
from experiments.certifying.tasks import task_for
from experiments.config.composition import build, identity
from experiments.config.targets import parameters
from experiments.data import Dataset, LabelledDataset
from experiments.runs.contents import Contents
from experiments.runs.run_folder import RunFolder, flattened
from experiments.training.base_function import build_model, build_noise, training_of
from smoothing import CenterSettings, Noise, SettingError
from smoothing.matching import matched_settings


@dataclass(frozen=True)
class Run:
    """A certifier at work, and where its results go."""

    task: Task
    folder: RunFolder


def assembled(plains: Sequence[dict[str, Any]], dataset: Dataset, device: torch.device) -> list[Run]:
    """The runs of such settings: one, or several that are read off the same outputs and so share the base function.

    Raises:
        SettingError: what cannot be used; or several that differ in more than their metric, or are not of center
            smoothing.
    """
    _require_alike(plains)
    plains = [_without_unused_metric(plain) for plain in plains]
    first = plains[0]
    _require_its_noise(first)
    noise = build_noise(first, dataset) if first["noise"] else None
    if noise:
        certifier = matched(first, noise)["certifier"]
        plains = [plain | {"certifier": certifier} for plain in plains]
    model = build_model(first, dataset)
    tasks = [task_for(_certifier(plain, model, noise, dataset), dataset, plain["eps"]) for plain in plains]
    if len(tasks) > 1 and not all(isinstance(task, CenterTask) for task in tasks):
        raise SettingError("also: only certificates of center smoothing can be read off the same outputs")
    if tasks[0].announce():
        print(tasks[0].announce())
    if isinstance(tasks[0].f.f, torch.nn.Module):
        tasks[0].f.f.to(device)
    own = contents_of(first, dataset, model)
    return [Run(task, _folder(plain, dataset, noise, own)) for task, plain in zip(tasks, plains, strict=True)]


def _require_alike(plains: Sequence[dict[str, Any]]) -> None:
    """Raises SettingError where runs differ in more than their names and metrics."""
    flat = [flattened({k: v for k, v in plain.items() if k not in ("name", "metric")}) for plain in plains]
    for plain, other in zip(plains, flat, strict=True):
        if other != flat[0]:
            keys = sorted(key for key in other.keys() | flat[0].keys() if other.get(key) != flat[0].get(key))
            raise SettingError(
                f"also: {plain['name']} and {plains[0]['name']} differ in {', '.join(keys)}; runs that are read "
                "off the same outputs differ in the metric alone: set it for all on the command line"
            )
    if len(plains) > 1 and plains[0]["logger"]:
        raise SettingError("logger: follows one run, and also= makes several; leave one of them out")


def _folder(plain: dict[str, Any], dataset: Dataset, noise: Noise | None, own: Contents) -> RunFolder:
    grid = noise.grid if noise else None
    run_identity = identity(plain, dataset.content, training_of(plain, dataset), grid)
    return RunFolder(Path(plain["results"]["root"]), plain, run_identity, noise.state() if noise else {}, own)


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


def _certifier(plain: dict[str, Any], f: torch.nn.Module, noise: Noise | None, dataset: Dataset) -> Any:
    """The certifier, given those of the run's settings that it takes."""
    given = {
        "f": f,
        "noise": noise,
        "metric": build(plain["metric"]) if plain["metric"] else None,
        "num_classes": len(dataset.classes) if isinstance(dataset, LabelledDataset) else None,
        "seed": plain["seed"],
        "batch_size": plain["batch_size"],
        "precision": plain["precision"],
        "compiled": plain["compiled"],
    }
    wanted = _parameters(plain["certifier"])
    return build(plain["certifier"], **{name: value for name, value in given.items() if name in wanted})


def _parameters(node: dict[str, Any]) -> set[str]:
    return set(parameters(node["_target_"], "certifier"))
