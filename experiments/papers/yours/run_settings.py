"""The settings of runs: the few that tell runs apart, as names, and all that differ, as notes."""

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from experiments.config.identity import flattened
from experiments.papers.yours.titles import class_name
from experiments.report.symbols import SIGMA
from experiments.runs.reader import StoredRun, noise_matches

NOT_SHOWN = ("weights", "fingerprint", "code", "shape", "noisy")  # no reader can read them, or they follow from others
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


def told_apart(runs: Sequence[StoredRun]) -> list[str]:
    """For each run, as few settings as tell it from the others, as text. Empty if there is one run.

    Where settings do not suffice, as between two trainings with one seed, the end of the folder's name does. Training
    with another noise than that of certification is always said.
    """
    settings = [settings_of(run) for run in runs]
    names: list[str] = []
    while (more := _next(settings, names)) is not None:
        names.append(more)
    kept = [_needed(own, settings, names) for own in settings]
    kept = [
        [*needed, TRAINING] if TRAINING not in needed and not noise_matches(run) else needed
        for needed, run in zip(kept, runs, strict=True)
    ]
    shown = {name for own in kept for name in own}
    texts = [
        ", ".join(_said(own[name], name, _short(name, shown)) for name in needed if name in own)
        for own, needed in zip(settings, kept, strict=True)
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


def _next(settings: Sequence[dict[str, Any]], names: list[str]) -> str | None:
    """The setting that tells most more runs apart than `names` do. None if no other does."""
    known = sorted({name for own in settings for name in own}, key=lambda name: (not name.endswith(".type"), name))
    counts = {name: len({_key(own, [*names, name]) for own in settings}) for name in known}
    best = max(counts, key=lambda name: counts[name], default=None)
    return best if best is not None and counts[best] > len({_key(own, names) for own in settings}) else None


def _needed(own: dict[str, Any], settings: Sequence[dict[str, Any]], names: list[str]) -> list[str]:
    """The names without which a run would not be told from the others."""
    kept = list(names)
    for name in reversed(names):
        fewer = [other for other in kept if other != name]
        if sum(_key(other, fewer) == _key(own, fewer) for other in settings) == 1:
            kept = fewer
    return kept


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
