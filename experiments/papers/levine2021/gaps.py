"""Gaps in certified accuracy between noises: the quantities in claims.csv, computed from the runs."""

import numpy as np

from experiments.papers.levine2021.results import Classifier, accuracy_at, clean_accuracy, mean_accuracy
from experiments.runs.reader import StoredRun

Row = dict[tuple[str, float], StoredRun]  # a row of a figure's panels: runs by method and sigma
Said = list[tuple[str, str, float]]  # quantity, sigma as text, value
LEAST_SIGMA = 0.15  # the smallest sigma of figure 8


def gap_quantities(by_row: dict[str, dict[Classifier, StoredRun]], name: str) -> dict[str, dict[str, float]]:
    """The quantities of a `MethodCurves` figure in claims.csv that the runs determine: by quantity, then by case.

    Args:
        by_row: the drawn runs of each row of panels.
        name: name of the data.
    """
    rows = {row: {(c.method, c.sigma): run for c, run in runs.items()} for row, runs in by_row.items()}
    cases = [(f"{name}, {row}", [*_across_sigma(some), *_each_sigma(some)]) for row, some in rows.items()]
    if all(c.stability for c in list(by_row.values())[-1]):
        trained = list(rows.values())[-1]
        first = next(iter(rows.values())) if len(rows) > 1 else {}
        cases.append((name, [*_at_least_sigma(trained), *_trained_over_untrained(first, trained)]))
    found: dict[str, dict[str, float]] = {}
    for case, said in cases:
        for quantity, at, value in said:
            found.setdefault(quantity, {})[f"{case}, sigma = {at}"] = value
    return found


def _across_sigma(runs: Row) -> Said:
    """The quantities at the smallest, middle and largest sigma that all compared methods have."""
    said: Said = []
    two, three = _sigmas(runs, "DSSN", "uniform"), _sigmas(runs, "DSSN", "uniform", "SSN")
    if len(two) > 1:
        least, most = (_gap(runs, "DSSN", "uniform", sigma) for sigma in (two[0], two[-1]))
        quantity = "mean gap of DSSN over uniform noise at the smallest sigma less that at the largest"
        said.append((quantity, f"{two[0]:g} and {two[-1]:g}", least - most))
    if len(three) > 2:
        middle = three[len(three) // 2]
        above = max(_gap(runs, other, "DSSN", middle) for other in ("uniform", "SSN"))
        quantity = "mean certified accuracy of the better of uniform noise and SSN above DSSN's at the middle sigma"
        said.append((quantity, f"{middle:g}", above))
        apart = abs(_gap(runs, "SSN", "uniform", middle))
        quantity = "mean gap between uniform noise and SSN less that of DSSN over the better at the middle sigma"
        said.append((quantity, f"{middle:g}", apart + above))
    if len(three) > 1:
        largest = three[-1]
        less = _gap(runs, "DSSN", "SSN", largest) - _gap(runs, "SSN", "uniform", largest)
        quantity = "mean gap of DSSN over SSN less that of SSN over uniform noise at the largest sigma"
        said.append((quantity, f"{largest:g}", less))
    return said


def _each_sigma(runs: Row) -> Said:
    """The quantities that compare uniform noise with DSSN at one sigma.

    Radii are multiples k/q, the only l1 distances between quantised images. k goes up to the largest value that L noisy
    inputs can certify for every class: floor((L - 1) / 2).
    """
    said: Said = []
    for sigma in _sigmas(runs, "DSSN", "uniform"):
        exact = runs["DSSN", sigma].table
        radii = np.arange((exact["n"].max() + 1) // 2) / exact["levels"].iloc[0]
        uniform, dssn = (accuracy_at(runs[method, sigma], radii)["accuracy"] for method in ("uniform", "DSSN"))
        at, above = f"{sigma:g}", float((uniform - dssn).max())
        said.append(("largest certified accuracy of uniform noise above DSSN's at a radius", at, above))
        said.append(("mean gap of uniform noise over DSSN", at, _gap(runs, "uniform", "DSSN", sigma)))
    return said


def _at_least_sigma(trained: Row) -> Said:
    """The quantities at the paper's smallest sigma, with stability training."""
    if LEAST_SIGMA not in _sigmas(trained, "DSSN", "uniform"):
        return []
    quantity = "mean gap of DSSN over uniform noise with stability training at sigma = 0.15"
    return [(quantity, f"{LEAST_SIGMA:g}", _gap(trained, "DSSN", "uniform", LEAST_SIGMA))]


def _trained_over_untrained(first: Row, trained: Row) -> Said:
    both = sorted({sigma for method, sigma in first if method == "DSSN" and (method, sigma) in trained})
    if not both:
        return []
    ratio = clean_accuracy(trained["DSSN", both[-1]]) / clean_accuracy(first["DSSN", both[-1]])
    quantity = "clean accuracy of DSSN with stability training over that without it at the largest sigma"
    return [(quantity, f"{both[-1]:g}", ratio)]


def _sigmas(runs: Row, *methods: str) -> list[float]:
    """The sigmas at which all methods have a run, sorted."""
    return sorted(set.intersection(*({sigma for method, sigma in runs if method == m} for m in methods)))


def _gap(runs: Row, upper: str, lower: str, sigma: float) -> float:
    """The mean gap in certified accuracy over radii from 0 to lambda."""
    return mean_accuracy(runs[upper, sigma]) - mean_accuracy(runs[lower, sigma])
