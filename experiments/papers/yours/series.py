"""From runs to series: one for each run, or the best over the runs of a source. With the names that tell them apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from experiments.papers.yours.run_settings import told_apart
from experiments.report.symbols import SIGMA
from experiments.runs.reader import StoredRun, oldest_first, unfinished

MOST = 5  # series in a panel


@dataclass(frozen=True)
class Series:
    """What a curve, or a row of a table, shows. No two series have the same source, sigma and settings.

    Attributes:
        source: its source's label.
        sigma: the noise level. None for several runs, and for a noise without sigma.
        settings: settings in which the runs of a source differ, and its training noise if that is another than that
            of certification, as text; see `told_apart`. Empty if there are none.
        runs: one run, or several of which the best is shown at each point.
    """

    source: str
    sigma: float | None
    settings: str
    runs: tuple[StoredRun, ...]

    @property
    def run(self) -> StoredRun:
        return self.runs[0]

    @property
    def name(self) -> str:
        """Its source and settings."""
        return joined(self.source, self.settings)


def series_of(runs: Sequence[StoredRun], *, envelope: bool) -> list[Series]:
    """The series of runs: by source in the order of source=, then by sigma and settings.

    Args:
        runs: the runs, with their labels.
        envelope: whether all runs of a source are one series, the best of them at each point.
    """
    if envelope:
        return [Series(label, None, "", tuple(some)) for label, some in by_source(runs).items()]
    groups: dict[tuple[str, float | None], list[StoredRun]] = {}
    for run in oldest_first(runs):
        groups.setdefault((run.label, sigma_of_any(run)), []).append(run)
    found = [
        Series(*group, settings, (run,))
        for (group, some), texts in zip(groups.items(), told_apart(groups), strict=True)
        for settings, run in zip(texts, some, strict=True)
    ]
    labels = list(by_source(runs))
    return sorted(found, key=lambda one: (labels.index(one.source), one.sigma is None, one.sigma or 0.0, one.settings))


def by_source(runs: Sequence[StoredRun]) -> dict[str, list[StoredRun]]:
    """The runs of each source, by its label."""
    found: dict[str, list[StoredRun]] = {}
    for run in runs:
        found.setdefault(run.label, []).append(run)
    return found


def panels_of(series: Sequence[Series]) -> list[tuple[str, list[Series]]]:
    """Title and series of each panel, with at most `MOST` series.

    All in one panel if they are few. Else one panel for each sigma with several series, and one for all others; then
    one for each setting, then parts of these. What the series of a panel share, and others do not, is its title.
    """
    if len(series) <= MOST:
        settings = {one.settings for one in series}
        return [(settings.pop() if len(settings) == 1 else "", list(series))]
    by_sigma = _grouped(series, lambda one: (one.sigma is None, one.sigma or 0.0))
    several = [group for group in by_sigma if len(group) > 1]
    others = [one for one in series if [one] in by_sigma]
    panels = []
    for group in [*several, *([others] if others else [])]:
        for part in [group] if len(group) <= MOST else _grouped(group, lambda one: one.settings):
            cuts = [part[k : k + MOST] for k in range(0, len(part), MOST)]
            for k, cut in enumerate(cuts):
                sources = {one.source for one in (cut if len(cut) > 1 else series)}
                own = sources.pop() if len(sources) == 1 < len({one.source for one in series}) else ""
                settings, sigmas = ({one.settings for one in cut}, {sigma_text(one) for one in cut})
                shared = (own, *(found.pop() if len(found) == 1 else "" for found in (sigmas, settings)))
                panels.append((joined(*shared, f"{k + 1} of {len(cuts)}" if len(cuts) > 1 else ""), cut))
    return panels


def names_in(panel: Sequence[Series]) -> list[str]:
    """The shortest names that tell the series of a panel apart: source, settings and sigma where they differ."""
    sources, settings = len({one.source for one in panel}) > 1, len({one.settings for one in panel}) > 1
    sigmas = len({one.sigma for one in panel}) > 1
    parts = [
        (one.source if sources else "", one.settings if settings else "", sigma_text(one) if sigmas else "")
        for one in panel
    ]
    return [joined(*words) or one.source for words, one in zip(parts, panel, strict=True)]


def joined(*words: str) -> str:
    """Words that are not empty, with commas."""
    return ", ".join(filter(None, words))


def sigma_text(one: Series) -> str:
    """Such as "sigma = 0.5", with the Greek letter; empty if its runs have none or several."""
    return "" if one.sigma is None else f"{SIGMA} = {one.sigma:g}"


def sizes_of(one: Series) -> tuple[int, ...]:
    """How many test examples its runs have."""
    return tuple(sorted({run.table["index"].nunique() for run in one.runs}))


def unfinished_text(series: Sequence[Series]) -> str:
    """The series with a run that lacks examples, as text; empty if there is none. A note says how many are missing."""
    names = [joined(one.name, sigma_text(one)) for one in series if any(map(unfinished, one.runs))]
    return f"Unfinished: {'; '.join(names)}" if names else ""


def pairs_of(series: Sequence[Series]) -> list[tuple[Series, Series]]:
    """The pairs to test: each series of the first source, with those of equal sigma of every other source. If both
    sources have several series of this sigma, and some pairs of them have equal settings, only those.

    Of a single source, the first series of each sigma with the others. If two sources have one series each, sigma does
    not matter.
    """
    sources = list(dict.fromkeys(one.source for one in series))
    of = {source: [one for one in series if one.source == source] for source in sources}
    if len(sources) == 1:
        pairs = [(first, other) for k, first in enumerate(series) for other in series[k + 1 :]]
        firsts = {one.sigma: one for one in reversed(series)}
        return [(a, b) for a, b in pairs if a.sigma == b.sigma and firsts[a.sigma] is a]
    found = []
    for source in sources[1:]:
        alone = len(of[sources[0]]) == len(of[source]) == 1
        pairs = [(a, b) for a, b in product(of[sources[0]], of[source]) if alone or a.sigma == b.sigma]
        for sigma in dict.fromkeys(a.sigma for a, _ in pairs):
            some = [(a, b) for a, b in pairs if a.sigma == sigma]
            several = min(len({one.settings for one in side}) for side in zip(*some, strict=True)) > 1
            found += [(a, b) for a, b in some if several and a.settings == b.settings] or some
    return found


def sigma_of_any(run: StoredRun) -> float | None:
    """The noise level; None if there is no noise, or a user's own noise has no sigma."""
    sigma = (run.identity.get("noise") or {}).get("sigma")
    return float(sigma) if isinstance(sigma, int | float) else None


def _grouped(series: Sequence[Series], key: Callable[[Series], Any]) -> list[list[Series]]:
    """Series with equal keys together, sorted by key."""
    return [[one for one in series if key(one) == value] for value in sorted({key(one) for one in series})]
