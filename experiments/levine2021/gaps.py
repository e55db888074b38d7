"""How far one noise is above another: what claims.csv says of curves of certified accuracy, from the runs."""

from collections.abc import Callable

import numpy as np

from experiments.levine2021.results import Classifier, accuracy_at, clean_accuracy, mean_accuracy
from experiments.report import Run

Row = dict[tuple[str, float], Run]  # of a figure's panels: runs by method and sigma
Said = list[tuple[str, str, float]]  # quantity, at which sigma, value


def gap_quantities(
    runs: dict[Classifier, Run], in_second_row: Callable[[Classifier], bool], row: str, name: str
) -> dict[str, dict[str, float]]:
    """All that claims.csv says of a figure of `MethodCurves`, as far as the runs tell: by quantity, then by case.

    Args:
        runs: the drawn ones.
        in_second_row: whether a classifier is drawn in the second row.
        row: what the second row's classifiers have and the first one's lack.
        name: of the data.
    """
    first: Row = {(c.method, c.sigma): run for c, run in runs.items() if not in_second_row(c)}
    second: Row = {(c.method, c.sigma): run for c, run in runs.items() if in_second_row(c)}
    found: dict[str, dict[str, float]] = {}
    for case, said in (
        (f"{name}, without {row}", [*_across_sigma(first), *_each_sigma(first)]),
        (f"{name}, with {row}", [*_across_sigma(second), *_each_sigma(second)]),
        (name, _second_over_first(first, second)),
    ):
        for quantity, at, value in said:
            found.setdefault(quantity, {})[f"{case}, sigma = {at}"] = value
    return found


def _across_sigma(runs: Row) -> Said:
    """What is said of the smallest, the middle and the largest sigma that the compared methods have."""
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
    if len(three) > 1:
        largest = three[-1]
        less = _gap(runs, "DSSN", "SSN", largest) - _gap(runs, "SSN", "uniform", largest)
        quantity = "mean gap of DSSN over SSN less that of SSN over uniform noise at the largest sigma"
        said.append((quantity, f"{largest:g}", less))
    return said


def _each_sigma(runs: Row) -> Said:
    """What is said of uniform noise against DSSN at one sigma.

    They are compared at radii k/q, as no two quantised images are at any other distance from each other, up to the
    largest that L noisy inputs can certify for every class: k = floor((L - 1) / 2).
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


def _second_over_first(first: Row, second: Row) -> Said:
    both = sorted({sigma for method, sigma in first if method == "DSSN" and (method, sigma) in second})
    if not both:
        return []
    ratio = clean_accuracy(second["DSSN", both[-1]]) / clean_accuracy(first["DSSN", both[-1]])
    quantity = "clean accuracy of DSSN with stability training over that without it at the largest sigma"
    return [(quantity, f"{both[-1]:g}", ratio)]


def _sigmas(runs: Row, *methods: str) -> list[float]:
    """The sigmas at which all of the methods have a run, in order."""
    return sorted(set.intersection(*({sigma for method, sigma in runs if method == m} for m in methods)))


def _gap(runs: Row, upper: str, lower: str, sigma: float) -> float:
    """Mean gap in certified accuracy over radii from 0 to lambda."""
    return mean_accuracy(runs[upper, sigma]) - mean_accuracy(runs[lower, sigma])
