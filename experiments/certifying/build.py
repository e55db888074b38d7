"""From checked settings to what runs: the certifier at work on its data set, and the folder of its results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from experiments.certifying.contents import contents_of
from experiments.certifying.outputs import CenterTask, input_radii
from experiments.certifying.task import Task
from experiments.certifying.tasks import task_for
from experiments.config.identity import identity
from experiments.config.settings import Group, Settings
from experiments.config.targets import parameters
from experiments.data import Dataset, LabelledDataset
from experiments.runs.contents import Contents
from experiments.runs.run_folder import RunFolder, flattened
from experiments.training.base_function import BaseFunction, build_base_function
from smoothing import CenterSettings, Noise, SettingError
from smoothing.matching import matched_settings


@dataclass(frozen=True)
class Run:
    """A certifier at work, and where its results go."""

    task: Task
    folder: RunFolder


def assembled(several: Sequence[Settings], dataset: Dataset, device: torch.device) -> list[Run]:
    """The runs of such settings: one, or several that are read off the same outputs and so share the base function.

    Raises:
        SettingError: what cannot be used; or several that differ in more than their metric, or are not of center
            smoothing.
    """
    _require_alike(several)
    several = [_without_unused_metric(settings) for settings in several]
    first = several[0]
    _require_its_noise(first)
    base = build_base_function(first, dataset)
    if base.noise:
        certifier = matched(first, base.noise).certifier
        several = [replace(settings, certifier=certifier) for settings in several]
    tasks = [task_for(_certifier(settings, base, dataset), dataset, settings.eps) for settings in several]
    if len(tasks) > 1 and not all(isinstance(task, CenterTask) for task in tasks):
        raise SettingError("also: only certificates of center smoothing can be read off the same outputs")
    if tasks[0].announce():
        print(tasks[0].announce())
    if isinstance(tasks[0].f.f, torch.nn.Module):
        tasks[0].f.f.to(device)
    own = contents_of(first, dataset, base)
    return [Run(task, _folder(settings, dataset, base, own)) for task, settings in zip(tasks, several, strict=True)]


def _require_alike(several: Sequence[Settings]) -> None:
    """Raises SettingError where runs differ in more than their names and metrics."""
    flat = [flattened(replace(settings, name="", metric=None).as_dict()) for settings in several]
    for settings, other in zip(several, flat, strict=True):
        if other != flat[0]:
            keys = sorted(key for key in other.keys() | flat[0].keys() if other.get(key) != flat[0].get(key))
            raise SettingError(
                f"also: {settings.name} and {several[0].name} differ in {', '.join(keys)}; runs that are read "
                "off the same outputs differ in the metric alone: set it for all on the command line"
            )
    if len(several) > 1 and several[0].logger:
        raise SettingError("logger: follows one run, and also= makes several; leave one of them out")


def _folder(settings: Settings, dataset: Dataset, base: BaseFunction, own: Contents) -> RunFolder:
    noise, training = base.noise, base.checkpoint.training if base.checkpoint else None
    run_identity = identity(settings, dataset.cached_fingerprint, training, noise.grid if noise else None)
    return RunFolder(Path(settings.results.root), settings, run_identity, noise.state() if noise else {}, own)


def _without_unused_metric(settings: Settings) -> Settings:
    """The configuration, without a metric where the certifier takes none. Raises SettingError where it wants one."""
    if "metric" not in _parameters(settings.certifier):
        return replace(settings, metric=None)
    if not settings.metric:
        raise SettingError(f"metric: {settings.certifier.name} needs one, such as metric=l2")
    return settings


def _require_its_noise(settings: Settings) -> None:
    """Raises SettingError where the certifier wants a noise and there is none."""
    if "noise" in _parameters(settings.certifier) and not settings.noise:
        raise SettingError(f"noise: {settings.certifier.name} needs one, such as noise=gaussian")


def matched(settings: Settings, noise: Noise) -> Settings:
    """The configuration with n, m and delta as certifier.match=paper asks for: a run of these is the same run."""
    c = settings.certifier.arguments
    if c.get("match") != "paper":
        return settings
    if c["bound"] != "exact":
        raise SettingError(f"certifier.match: paper needs certifier.bound=exact, got {c['bound']}")
    wanted = CenterSettings(c["bound"], c["delta"], c["alpha1"], c["alpha2"])
    n, m, delta = matched_settings(c["n"], c["m"], input_radii(settings.eps), noise, wanted)
    print(
        f"certifier.match=paper: n={n}, m={m}, delta={delta:g} prove as much as n={c['n']}, m={c['m']}, "
        f"delta={c['delta']:g} with bound=paper"
    )
    return replace(settings, certifier=settings.certifier.replaced(n=n, m=m, delta=delta, match=None))


def _certifier(settings: Settings, base: BaseFunction, dataset: Dataset) -> Any:
    """The certifier, given those of the run's settings that it takes."""
    given = {
        "f": base.model,
        "noise": base.noise,
        "metric": settings.metric.build() if settings.metric else None,
        "num_classes": len(dataset.classes) if isinstance(dataset, LabelledDataset) else None,
        "seed": settings.seed,
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "compiled": settings.compiled,
    }
    wanted = _parameters(settings.certifier)
    return settings.certifier.build(**{name: value for name, value in given.items() if name in wanted})


def _parameters(group: Group) -> set[str]:
    return set(parameters(group.target, "certifier"))
