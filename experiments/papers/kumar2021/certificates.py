"""Two certificates in one figure: center smoothing's, which is the paper's, and balanced center smoothing's, ours."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.report.claims import verdicts
from experiments.runs.reader import StoredRun, sigma_of

OURS, PAPERS = "balanced", "center smoothing"
CERTIFICATES = {
    "CenterSmoothing": PAPERS,
    "CenterSmoothingHD": PAPERS,
    "ExactCenterSmoothing": PAPERS,
    "BalancedCenterSmoothing": OURS,
    "ExactBalancedCenterSmoothing": OURS,
}
APART = ("certifier", "training")  # parts of an identity in which the runs of the two may differ
DIGITS = 3  # significant digits of eps_in, because users round sigma = eps_in / h


def certificate_of(run: StoredRun) -> str:
    """Whose certificate a run has: `PAPERS` or `OURS`."""
    return CERTIFICATES[run.identity["certifier"]["type"]]


def split(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], list[StoredRun]]:
    """The paper's runs and ours."""
    papers, ours = ([run for run in runs if certificate_of(run) == name] for name in (PAPERS, OURS))
    return papers, ours


def with_ours(
    groups: dict[str, list[StoredRun]], setting: Callable[[StoredRun], dict[str, Any]]
) -> dict[str, list[StoredRun]]:
    """Add our runs to every drawing of the paper's runs that has their name and their settings, apart from `APART`.

    Args:
        groups: runs by name and settings of their drawing.
        setting: the settings that the runs of a drawing share.
    """

    def place(key: str) -> tuple[str, dict[str, Any]]:
        return key.rpartition("-")[0], {k: v for k, v in setting(groups[key][0]).items() if k not in APART}

    only_ours = [key for key, runs in groups.items() if not split(runs)[0]]
    added = {key: [other for other in only_ours if other != key and place(other) == place(key)] for key in groups}
    return {key: runs + [run for other in added[key] for run in groups[other]] for key, runs in groups.items()}


def in_order(panels: Iterable[str]) -> Callable[["pd.Series[Any]"], "pd.Series[Any]"]:
    """A key for `sort_values`: panels in this order, the paper's certificate before ours, other columns as they are."""
    place = {title: i for i, title in enumerate(panels)} | {PAPERS: 0, OURS: 1}
    return lambda column: column.map(place) if column.name in ("panel", "certificate") else column


def differences(papers: Sequence[StoredRun], ours: Sequence[StoredRun]) -> list[str]:
    """The settings of training and sampling that differ between the two kinds of runs, apart from the noise."""
    found = []
    for part, names in (("training", None), ("certifier", ("n", "m", "bound", "center"))):
        settings = [[run.identity.get(part, {}) for run in runs] for runs in (papers, ours)]
        known = names or sorted({name for runs in settings for own in runs for name in own} - {"noise", "weights"})
        for name in known:
            values = [sorted({str(own.get(name)) for own in runs}) for runs in settings]
            if values[0] != values[1]:
                said = [" or ".join(each) for each in values]
                found.append(f"{part}.{name} differs: {said[0]} for {PAPERS}, {said[1]} for {OURS}")
    return found


def about_ours(runs: Sequence[StoredRun], read: set[float]) -> list[str]:
    """Where a panel's line of our certificate comes from, and what differs from the paper's apart from the certificate.

    Args:
        runs: the panel's runs of both.
        read: the noise levels of the paper's runs whose draws were read again as ours.
    """
    papers, ours = split(runs)
    notes = differences(papers, ours) if ours else []
    if read:
        notes.append(f"{OURS} is read from the stored draws of {PAPERS} at sigma = {_listed(read)}")
    lacking = {sigma_of(run) for run in papers} - {sigma_of(run) for run in ours} - read
    if lacking and (ours or read):
        notes.append(f"there are no {OURS} results at sigma = {_listed(lacking)}")
    elif lacking:
        notes.append(f"there are no {OURS} results, so only the paper's certificate is drawn")
    return notes


def _listed(numbers: set[float]) -> str:
    return ", ".join(f"{number:g}" for number in sorted(numbers))


def side_by_side(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Median eps_out of both certificates at each input radius that both have.

    Args:
        table: columns certificate, eps_in, eps_out and those of `by`.
        by: the columns that name a curve.
    """
    typed = table.assign(eps_in=[float(f"{eps:.{DIGITS}g}") for eps in table["eps_in"]])
    wide = typed.pivot_table(index=[*by, "eps_in"], columns="certificate", values="eps_out", sort=False)
    return wide.reindex(columns=[PAPERS, OURS]).dropna()


def ratio_notes(table: pd.DataFrame, by: Sequence[str]) -> list[str]:
    """For each curve, how our medians compare with the paper's."""
    notes = []
    for key, rows in side_by_side(table, by).groupby(list(by), sort=False):
        both, alone = rows[np.isfinite(rows).all(axis=1)], np.isfinite(rows[OURS]) & ~np.isfinite(rows[PAPERS])
        ratio = both[OURS] / both[PAPERS]
        said = f"{ratio.min():.3f} to {ratio.max():.3f} times that of {PAPERS}" if len(ratio) else "nothing to compare"
        more = f"; at {alone.sum()} more, only {OURS} is finite" if alone.any() else ""
        notes.append(f"{_case(by, key)}: {OURS} median eps_out, at {len(ratio)} input radii: {said}{more}")
    return notes


def worst_ratios(table: pd.DataFrame, by: Sequence[str]) -> dict[str, dict[str, float]]:
    """The quantity of our claim that balanced certificates are smaller, with a case for each curve."""
    wide = side_by_side(table, by)
    with np.errstate(invalid="ignore"):
        worst = (wide[OURS] / wide[PAPERS]).dropna().groupby(list(by), sort=False).max()  # infinite by infinite: none
    name = f"largest median eps_out over that of {PAPERS} at the same input radius and {by[-1]}"
    return {name: {_case(by, key): float(ratio) for key, ratio in worst.items()}}


def _case(by: Sequence[str], key: Any) -> str:
    return ", ".join(
        value if isinstance(value, str) else f"{name} = {value:g}" for name, value in zip(by, key, strict=True)
    )


def our_verdicts(claims: Path, figure: str, quantities: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The paper's claims, checked on our certificate. Their kind is "ours", so they do not decide a figure's status."""
    cases = {name: {f"{OURS}: {case}": value for case, value in found.items()} for name, found in quantities.items()}
    found = verdicts(claims, figure, cases)
    return found.assign(kind="ours") if len(found) else found
