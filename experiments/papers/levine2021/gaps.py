"""Gaps in certified accuracy between noises: the quantities in claims.csv, computed from the runs.

Each comes with the noise of the test examples, and is void if a run is no better than one class for every example.
"""

from collections.abc import Callable
from math import nan

import numpy as np
import pandas as pd

from experiments.papers.levine2021.results import Classifier, accuracy_at, cleanly_correct, lambda_of
from experiments.report.certified_accuracy import better_than_one_class, certified_radii, compared
from experiments.report.measured import Measured, Values
from experiments.runs.reader import StoredRun

Row = dict[tuple[str, float], StoredRun]  # a row of a figure's panels: runs by method and sigma
Said = list[tuple[str, str, Measured]]  # quantity, sigma as text, value
LEAST_SIGMA = 0.15  # the smallest sigma of figure 8


def gap_quantities(by_row: dict[str, dict[Classifier, StoredRun]], name: str) -> dict[str, dict[str, Measured]]:
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
    found: dict[str, dict[str, Measured]] = {}
    for case, said in cases:
        for quantity, at, value in said:
            found.setdefault(quantity, {})[f"{case}, sigma = {at}"] = value
    return found


def _across_sigma(runs: Row) -> Said:
    """The quantities at the smallest, middle and largest sigma that all compared methods have."""
    said: Said = []
    two, three = _sigmas(runs, "DSSN", "uniform"), _sigmas(runs, "DSSN", "uniform", "SSN")
    if len(two) > 1:
        four = [runs[method, sigma] for sigma in (two[0], two[-1]) for method in ("DSSN", "uniform")]
        less = _gaps(lambda m: (m[0] - m[1]) - (m[2] - m[3]), *four)
        quantity = "mean gap of DSSN over uniform noise at the smallest sigma less that at the largest"
        said.append((quantity, f"{two[0]:g} and {two[-1]:g}", less))
    if len(three) > 2:
        middle = three[len(three) // 2]
        at_middle = [runs[method, middle] for method in ("DSSN", "uniform", "SSN")]
        quantity = "mean certified accuracy of the better of uniform noise and SSN above DSSN's at the middle sigma"
        said.append((quantity, f"{middle:g}", _gaps(lambda m: max(m[1], m[2]) - m[0], *at_middle)))
        apart = _gaps(lambda m: abs(m[2] - m[1]) + max(m[1], m[2]) - m[0], *at_middle)
        quantity = "mean gap between uniform noise and SSN less that of DSSN over the better at the middle sigma"
        said.append((quantity, f"{middle:g}", apart))
    if len(three) > 1:
        largest = three[-1]
        at_largest = [runs[method, largest] for method in ("DSSN", "uniform", "SSN")]
        quantity = "mean gap of DSSN over SSN less that of SSN over uniform noise at the largest sigma"
        said.append((quantity, f"{largest:g}", _gaps(lambda m: (m[0] - m[2]) - (m[2] - m[1]), *at_largest)))
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
        both = [runs[method, sigma] for method in ("uniform", "DSSN")]
        void = 0.0 if all(map(better_than_one_class, both)) else nan
        at, above = f"{sigma:g}", Measured(float((uniform - dssn).max()), void)
        said.append(("largest certified accuracy of uniform noise above DSSN's at a radius", at, above))
        said.append(("mean gap of uniform noise over DSSN", at, _gaps(lambda m: m[0] - m[1], *both)))
    return said


def _at_least_sigma(trained: Row) -> Said:
    """The quantities at the paper's smallest sigma, with stability training."""
    if LEAST_SIGMA not in _sigmas(trained, "DSSN", "uniform"):
        return []
    quantity = "mean gap of DSSN over uniform noise with stability training at sigma = 0.15"
    both = [trained[method, LEAST_SIGMA] for method in ("DSSN", "uniform")]
    return [(quantity, f"{LEAST_SIGMA:g}", _gaps(lambda m: m[0] - m[1], *both))]


def _trained_over_untrained(first: Row, trained: Row) -> Said:
    both = sorted({sigma for method, sigma in first if method == "DSSN" and (method, sigma) in trained})
    if not both:
        return []
    runs = (row["DSSN", both[-1]] for row in (trained, first))
    ratio = compared(lambda right: _ratio(*np.nanmean(right, axis=1)), *runs, of=cleanly_correct)
    quantity = "clean accuracy of DSSN with stability training over that without it at the largest sigma"
    return [(quantity, f"{both[-1]:g}", ratio)]


def _sigmas(runs: Row, *methods: str) -> list[float]:
    """The sigmas at which all methods have a run, sorted."""
    return sorted(set.intersection(*({sigma for method, sigma in runs if method == m} for m in methods)))


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under > 0 else nan


def _gaps(combined: Callable[[Values], float], *runs: StoredRun) -> Measured:
    """A combination of the runs' mean certified accuracies over radii from 0 to lambda, (runs,): ACR / lambda."""
    return compared(lambda shares: float(combined(np.nanmean(shares, axis=1))), *runs, of=_shares_of_lambda)


def _shares_of_lambda(run: StoredRun) -> "pd.Series[float]":
    """For each example, the share of the radii from 0 to lambda at which it is certified."""
    return certified_radii(run).clip(lower=0.0) / lambda_of(run)
