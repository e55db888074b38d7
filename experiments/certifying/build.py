"""Build a certification from checked settings: the certifier, its data set, and the folder of its results."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path

import torch

from experiments.certifying.contents import contents_of, metric_hash
from experiments.certifying.rows import Certification
from experiments.config.command_line import key_of
from experiments.config.identity import flattened, identity
from experiments.config.left_out import typed_words
from experiments.config.settings import Group, Settings
from experiments.config.targets import parameters
from experiments.data import Dataset, LabelledDataset
from experiments.data.base import require_dataset
from experiments.runs.contents import Contents
from experiments.runs.input_space import InputSpace
from experiments.runs.run_folder import RunFolder
from experiments.training.base_function import BaseFunction, build_base_function
from smoothing import Certifier, Metric, Noise, SettingError
from smoothing.evaluation import EvaluationOptions


def assembled(several: Sequence[Settings], dataset: Dataset, device: torch.device) -> list[Certification]:
    """The certifications for these settings: one, or several that share outputs and differ in their metric only.

    Raises:
        SettingError: the settings cannot be used, or several differ in more than their metric.
    """
    require_dataset(dataset)
    _require_alike(several)
    several = [_without_unused_metric(settings) for settings in several]
    first = several[0]
    if len(several) > 1 and not first.metric:
        raise SettingError(
            "also: only certificates of center smoothing can share outputs; run the experiments one by one"
        )
    _require_its_noise(first)
    _require_classes(several)
    base = build_base_function(first, dataset)
    if base.noise:
        certifier = settled(first, base.noise).certifier
        several = [replace(settings, certifier=certifier) for settings in several]
    certifiers = [_certifier(settings, base, dataset) for settings in several]
    if type(certifiers[0]).cases is Certifier.cases and "eps" in map(key_of, typed_words()):
        print(f"left out: eps ({type(certifiers[0]).__name__} takes no input radii)", file=sys.stderr)
    cases = [one.cases(settings.eps) for one, settings in zip(certifiers, several, strict=True)]
    if certifiers[0].announcement:
        print(certifiers[0].announcement)
    for each in certifiers:
        if isinstance(each.f.f, torch.nn.Module):
            each.f.f.to(device)
    own = contents_of(first, dataset, base)
    owns = [replace(own, metric=metric_hash(getattr(one, "metric", None))) for one in certifiers]
    folders = [_folder(settings, dataset, base, each) for settings, each in zip(several, owns, strict=True)]
    paths = [folder.path for folder in folders]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise SettingError(f"also: {twice} would be computed twice; name each experiment once, with another metric")
    return [Certification(*each) for each in zip(certifiers, cases, folders, strict=True)]


def _require_alike(several: Sequence[Settings]) -> None:
    """Raises SettingError if runs differ in more than their names, descriptions and metrics."""
    bare = [replace(s, name="", paper=None, item=None, shows=None, needs=None, metric=None) for s in several]
    flat = [flattened(settings.as_dict()) for settings in bare]
    for settings, other in zip(several, flat, strict=True):
        if other != flat[0]:
            keys = sorted(key for key in other.keys() | flat[0].keys() if other.get(key) != flat[0].get(key))
            raise SettingError(
                f"also: {settings.name} and {several[0].name} differ in {', '.join(keys)}; runs with the same outputs "
                "may differ in their metric only, so set these for all on the command line"
            )
    if len(several) > 1 and several[0].logger:
        raise SettingError("logger: a logger follows one run, and also= starts several; leave one of them out")


def _folder(settings: Settings, dataset: Dataset, base: BaseFunction, own: Contents) -> RunFolder:
    noise, training = base.noise, base.checkpoint.training if base.checkpoint else None
    run_identity = identity(settings, dataset.cached_fingerprint, training, noise.grid if noise else None)
    space, state = InputSpace.of(noise, dataset, base.model), noise.state() if noise else {}
    return RunFolder(Path(settings.results.root), settings, run_identity, state, own, space)


def _without_unused_metric(settings: Settings) -> Settings:
    """The settings, without a metric if the certifier accepts none. Raises SettingError if it needs one."""
    if "metric" not in accepted_arguments(settings.certifier):
        if settings.metric and any(key_of(word).partition(".")[0] == "metric" for word in typed_words()):
            print(f"left out: metric ({settings.certifier.name} takes none)", file=sys.stderr)
        return replace(settings, metric=None)
    if not settings.metric:
        raise SettingError(f"metric: {settings.certifier.name} needs a metric, such as metric=l2")
    return settings


def _require_its_noise(settings: Settings) -> None:
    """Raises SettingError if the certifier needs a noise and there is none."""
    if "noise" in accepted_arguments(settings.certifier) and not settings.noise:
        raise SettingError(f"noise: {settings.certifier.name} needs a noise, such as noise=gaussian")


def _require_classes(several: Sequence[Settings]) -> None:
    """Raises SettingError if a chosen class is of another kind than its group, before weights are looked for."""
    for settings in several:
        for group, kind in (("metric", Metric), ("noise", Noise), ("certifier", Certifier)):
            chosen = getattr(settings, group)
            cls = chosen.located if chosen else None
            if isinstance(cls, type) and not issubclass(cls, kind):
                raise SettingError(
                    f"{group}: expected a class derived from smoothing.{kind.__name__}, got {chosen.name}"
                )


def settled(settings: Settings, noise: Noise) -> Settings:
    """The settings, with those arguments of the certifier filled in that follow from eps; see `Certifier.settled`."""
    cls, arguments = settings.certifier.located, dict(settings.certifier.arguments)
    if not isinstance(cls, type) or not issubclass(cls, Certifier):
        return settings
    found, told = cls.settled(arguments, settings.eps, noise)
    if told:
        print(told)
    return settings if found == arguments else replace(settings, certifier=Group(settings.certifier.target, found))


def _certifier(settings: Settings, base: BaseFunction, dataset: Dataset) -> Certifier:
    """The certifier, built with the settings of the run that it accepts.

    Raises:
        SettingError: its class is not a `Certifier`, or it needs labels and the data set has none.
    """
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
    wanted = accepted_arguments(settings.certifier)
    certifier = settings.certifier.build(**{name: value for name, value in given.items() if name in wanted})
    name = type(certifier).__name__
    if not isinstance(certifier, Certifier):  # made by a function
        raise SettingError(f"certifier: expected a class derived from smoothing.Certifier, got {name}")
    columns = getattr(certifier, "columns", ())
    if missing := [column for column in ("index", certifier.case) if column and column not in columns]:
        raise SettingError(f"certifier: {name}.columns: expected a column {missing[0]}, which identifies a row")
    if not isinstance(certifier.samples, Integral) or certifier.samples < 0:
        raise SettingError(f"certifier: {name}.samples: expected a whole number of at least 0, got {certifier.samples}")
    if certifier.needs_labels and not isinstance(dataset, LabelledDataset):
        derive = ", or derive your class from experiments.data.LabelledDataset" if hasattr(dataset, "label") else ""
        raise SettingError(
            f"dataset: expected labels, which {name} needs, and {type(dataset).__name__} has none; use dataset=classes "
            f"for images of your own in one folder for each class{derive}"
        )
    return certifier


def accepted_arguments(group: Group) -> set[str]:
    """The names of the certifier's arguments. With **kwargs, also those of `EvaluationOptions`."""
    found = parameters(group.target, "certifier")
    others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in found.values())
    return {*found, *(EvaluationOptions.__annotations__ if others else ())}
