"""The settings of runs: the few that tell runs apart, as names, and all that differ, as notes."""

from collections.abc import Iterable, Mapping, Sequence
from textwrap import shorten
from typing import Any

from experiments.config.identity import flattened
from experiments.papers.yours.titles import class_name
from experiments.report.symbols import SIGMA
from experiments.runs.reader import StoredRun, noise_matches

NOT_SHOWN = ("weights", "fingerprint", "code", "shape", "noisy")  # no reader can read them, or they follow from others
CERTIFIER = "certifier.type"
SAMPLES = ("certifier.n", "certifier.m", "certifier.alpha")  # whose values a note gives
TRAINING = f"training {SIGMA}"
UNSET = "none"  # the value of a setting that a run does not have
LONGEST = 160  # letters of a note


def settings_of(run: StoredRun) -> dict[str, Any]:
    """A run's settings by dotted name, without data, metric and sigma. Training noise is one: its sigma, or 0."""
    apart = ("dataset", "metric", "training")
    training = run.identity.get("training") or {}
    flat = flattened({name: value for name, value in run.identity.items() if name not in apart})
    flat |= flattened({"training": {name: value for name, value in training.items() if name != "noise"}})
    if "noise" in training:
        flat[TRAINING] = _training_noise(training["noise"] or {}, run.identity.get("noise") or {})
    return {name: v for name, v in flat.items() if name.rpartition(".")[2] not in NOT_SHOWN and name != "noise.sigma"}


def told_apart(groups: Mapping[tuple[str, Any], Sequence[StoredRun]]) -> list[list[str]]:
    """For each run of each group, the settings that tell the runs of a source apart, as text.

    The same settings for every run of the drawing: the certifier and other classes, numbers of samples and alpha, where
    these differ in a source, and as few others as tell the runs of a group apart. So a curve never leaves out what
    another one says. Where settings do not suffice, as between two trainings with one seed, the end of the folder's
    name does. Training with another noise than that of certification is always said.

    Args:
        groups: the runs of each source and sigma.
    """
    names = _told(groups)
    return [_texts(runs, names) for runs in groups.values()]


def _texts(runs: Sequence[StoredRun], names: list[str]) -> list[str]:
    settings = [settings_of(run) for run in runs]
    own_names = [[*names, TRAINING] if TRAINING not in names and not noise_matches(run) else names for run in runs]
    texts = [
        ", ".join(_said(own[name], name, _short(name, {*names, *given})) for name in given if name in own)
        for own, given in zip(settings, own_names, strict=True)
    ]
    ends = [run.folder.name.rpartition("-")[2] for run in runs]
    whole = [", ".join(filter(None, each)) for each in zip(texts, ends, strict=True)]
    return [two if texts.count(one) > 1 else one for one, two in zip(texts, whole, strict=True)]


def differing(by_source: Mapping[str, Sequence[StoredRun]]) -> list[str]:
    """Notes on the settings that differ: a comparison is on equal terms only in the others.

    Args:
        by_source: the runs of each source.

    Training sigma is left out if every run is certified at its own: sigma then says it.
    """
    known = {name for runs in by_source.values() for run in runs for name in settings_of(run)}
    values: dict[str, dict[str, list[str]]] = {name: {} for name in known}
    for source, runs in by_source.items():
        for own in map(settings_of, runs):
            for name in known:
                sources = values[name].setdefault(_written(own.get(name, UNSET)), [])
                sources += [source] if source not in sources else []
    differ = {name: found for name, found in values.items() if len(found) > 1}
    if all(
        "noise" in (run.identity.get("training") or {}) and noise_matches(run)
        for runs in by_source.values()
        for run in runs
    ):
        differ.pop(TRAINING, None)
    notes = [
        f"{name} differs: {'; '.join(f'{value} for {_listed(sources)}' for value, sources in differ[name].items())}"
        for name in SAMPLES
        if name in differ
    ]
    others = _listed([name.replace(SIGMA, "sigma") for name in sorted(differ) if name not in SAMPLES])
    return [*notes, *([shorten(f"the runs also differ in {others}", LONGEST, placeholder=" ...")] if others else [])]


def trained_elsewhere(by_source: Mapping[str, Sequence[StoredRun]]) -> list[str]:
    """Notes on the sources with runs that were trained under another noise than they are certified with.

    For drawings of several runs as one series, whose names do not say so.
    """
    others = {source: sum(not noise_matches(run) for run in runs) for source, runs in by_source.items()}
    said = "trained under another noise than they are certified with"
    return [f"{source}: {count} of {len(by_source[source])} runs {said}" for source, count in others.items() if count]


def _training_noise(trained: Mapping[str, Any], own: Mapping[str, Any]) -> Any:
    sigma = trained.get("sigma", 0 if not trained else "")
    if not trained or trained.get("type") == own.get("type"):
        return sigma
    return f"{class_name(str(trained.get('type')))} {sigma}".strip()


def _told(groups: Mapping[tuple[str, Any], Sequence[StoredRun]]) -> list[str]:
    """The settings that the names of all runs give, the certifier first."""
    settings = [[settings_of(run) for run in runs] for runs in groups.values()]
    sources: dict[str, list[dict[str, Any]]] = {}
    for (source, _), some in zip(groups, settings, strict=True):
        sources.setdefault(source, []).extend(some)
    always = [
        name
        for name in _ordered({name for some in settings for own in some for name in own})
        if (name.endswith(".type") or name in SAMPLES) and any(_count(some, [name]) > 1 for some in sources.values())
    ]
    names = list(always)
    for some in settings:
        while (more := _next(some, names)) is not None:
            names.append(more)
    for name in reversed(names[len(always) :]):
        fewer = [other for other in names if other != name]
        if all(_count(some, fewer) == _count(some, names) for some in settings):
            names = fewer
    return _ordered(names)


def _next(settings: Sequence[dict[str, Any]], names: list[str]) -> str | None:
    """The setting that tells most more runs apart than `names` do. None if no other does."""
    counts = {name: _count(settings, [*names, name]) for name in _ordered({name for own in settings for name in own})}
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] > _count(settings, names) else None


def _ordered(names: Iterable[str]) -> list[str]:
    """The certifier, then other classes, numbers of samples and alpha, and all others."""
    return sorted(names, key=lambda name: (name != CERTIFIER, not name.endswith(".type"), name not in SAMPLES, name))


def _count(settings: Sequence[dict[str, Any]], names: list[str]) -> int:
    """How many different runs these settings show."""
    return len({_key(own, names) for own in settings})


def _key(own: dict[str, Any], names: list[str]) -> tuple[str, ...]:
    return tuple(str(own.get(name)) for name in names)


def _short(name: str, among: set[str]) -> str:
    """A setting's own name, or with its group if another setting has the same."""
    own = name.rpartition(".")[2]
    return name if [other.rpartition(".")[2] for other in among].count(own) > 1 else own


def _said(value: Any, name: str, word: str) -> str:
    return class_name(str(value)) if name.endswith(".type") else f"{word} = {_written(value)}"


def _written(value: Any) -> str:
    if isinstance(value, str):
        return class_name(value)
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
