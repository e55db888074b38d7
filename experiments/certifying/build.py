"""From checked settings to what runs: the certifier at work on its data set, and the folder of its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from experiments.certifying.contents import contents_of
from experiments.certifying.rows import Certification
from experiments.config.composition import build, identity
from experiments.config.targets import located, parameters
from experiments.data import Dataset, LabelledDataset
from experiments.runs.contents import Contents
from experiments.runs.run_folder import RunFolder, flattened
from experiments.training.base_function import build_model, build_noise, training_of
from smoothing import Certifier, Noise, SettingError
from smoothing.evaluation import EvaluationOptions


def assembled(plains: Sequence[dict[str, Any]], dataset: Dataset, device: torch.device) -> list[Certification]:
    """The certifications of such settings: one, or several that differ in their metric and read the same outputs.

    Raises:
        SettingError: settings that cannot be used; or several that differ in more than their metric.
    """
    _require_alike(plains)
    plains = [_without_unused_metric(plain) for plain in plains]
    first = plains[0]
    if len(plains) > 1 and not first["metric"]:
        raise SettingError("also: only certificates of center smoothing can be read off the same outputs")
    _require_its_noise(first)
    noise = build_noise(first, dataset) if first["noise"] else None
    if noise:
        certifier = settled(first, noise)["certifier"]
        plains = [plain | {"certifier": certifier} for plain in plains]
    model = build_model(first, dataset)
    certifiers = [_certifier(plain, model, noise, dataset) for plain in plains]
    cases = [one.cases(plain["eps"]) for one, plain in zip(certifiers, plains, strict=True)]
    if certifiers[0].announcement:
        print(certifiers[0].announcement)
    if isinstance(certifiers[0].f.f, torch.nn.Module):
        certifiers[0].f.f.to(device)
    own = contents_of(first, dataset, model)
    folders = [_folder(plain, dataset, noise, own) for plain in plains]
    return [Certification(*each) for each in zip(certifiers, cases, folders, strict=True)]


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


def settled(plain: dict[str, Any], noise: Noise) -> dict[str, Any]:
    """The configuration with the certifier's arguments that follow from eps computed; see `Certifier.settled`."""
    target = plain["certifier"]["_target_"]
    cls = located(target, "certifier")
    if not isinstance(cls, type) or not issubclass(cls, Certifier):
        return plain
    arguments = {key: value for key, value in plain["certifier"].items() if key != "_target_"}
    found, told = cls.settled(arguments, plain["eps"], noise)
    if told:
        print(told)
    return plain if found == arguments else plain | {"certifier": {"_target_": target} | found}


def _certifier(plain: dict[str, Any], f: torch.nn.Module, noise: Noise | None, dataset: Dataset) -> Certifier:
    """The certifier, given those of the run's settings that it takes.

    Raises:
        SettingError: it is no `Certifier`, or it needs labels that the data set does not have.
    """
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
    certifier = build(plain["certifier"], **{name: value for name, value in given.items() if name in wanted})
    name = type(certifier).__name__
    if not isinstance(certifier, Certifier):
        raise SettingError(f"certifier: expected a class derived from smoothing.Certifier, got {name}")
    if certifier.needs_labels and not isinstance(dataset, LabelledDataset):
        raise SettingError(f"dataset: {type(dataset).__name__} has no labels, which {name} needs")
    return certifier


def _parameters(node: dict[str, Any]) -> set[str]:
    """The names of the certifier's arguments; of one that takes any others, those of an `Evaluation` as well."""
    found = parameters(node["_target_"], "certifier")
    others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in found.values())
    return {*found, *(EvaluationOptions.__annotations__ if others else ())}
