"""The numbers of a series: certified accuracy at radii, and medians at input radii, with 95 % bands over examples."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy

from experiments.papers.yours.series import Series, sigma_of_any
from experiments.report.certified_accuracy import OUTSIDE, Values, certified_accuracy, rows_of
from experiments.runs.reader import StoredRun, median_with_abstentions

DIGITS = 3  # significant digits of eps_in, because users round eps and sigma
STEPS = (0.01, 0.02, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
CLEAN = "guess"  # column with the class of the selection samples, also where the certificate abstains


def accuracy_at(series: Series, radii: Sequence[float] | Values) -> pd.DataFrame:
    """Certified accuracy at radii: of its run, or of the best of its runs at each radius.

    Columns: those of `certified_accuracy`, and sigma of the run that is shown.
    """
    at = np.asarray(radii, dtype=np.float64)
    parts = [certified_accuracy(*rows_of(run), at).assign(sigma=sigma_of_any(run)) for run in series.runs]
    return _best(parts, "accuracy", largest=True)


def steps_of(series: Series, end: float) -> pd.DataFrame:
    """As `accuracy_at`, at 0, at each radius at which the share falls, and at `end`: exactly the curve, as steps."""
    radii = [radius[correct & (radius < end)] for correct, radius in map(rows_of, series.runs)]
    return accuracy_at(series, np.unique(np.concatenate([[0.0, end], *radii])))


def largest_radius(series: Sequence[Series]) -> float:
    """The largest finite radius of a correct example; 0 if there is none."""
    found = 0.0
    for run in (run for one in series for run in one.runs):
        correct, radius = rows_of(run)
        found = max(found, float(radius[correct & np.isfinite(radius)].max(initial=0.0)))
    return found


def why_zero(series: Series) -> str:
    """Why the certified accuracy of a series is 0 at every radius; empty if it is not."""
    tables = [run.table for run in series.runs]
    if any(table["correct"].any() for table in tables):
        return ""
    abstained = all((table["status"] == "abstained").all() for table in tables)
    return "all examples abstained" if abstained else "no example is correct"


def round_radii(largest: float, most: int) -> list[float]:
    """At most `most` round numbers from 0 to `largest`."""
    step = next((step for step in STEPS if step * most > largest), largest / (most - 1))
    return [r for r in (round(step * k, 6) for k in range(most)) if r <= largest]


def clean_accuracy(run: StoredRun) -> float:
    """The share of examples that the smoothed classifier gets right, certified or not.

    Where a certificate abstains, the class is that of the selection samples, or else of `predict`: a certifier may
    name the class that it does not certify. NaN if an abstained row has neither.
    """
    table = run.table
    if CLEAN in table and "label" in table:
        return float((table[CLEAN] == table["label"]).mean())
    right, abstains = table["correct"].to_numpy(dtype=bool), (table["status"] == "abstained").to_numpy()
    if abstains.any():
        if not {"predict", "label"} <= set(table) or (table["predict"][abstains] < 0).any():
            return float("nan")
        right = right | (abstains & (table["predict"] == table["label"]).to_numpy())
    return float(right.mean())


def medians_of(series: Series) -> pd.DataFrame:
    """Medians over examples at each eps_in: of its run, or of the run with the smallest median eps_out.

    Columns: eps_in, eps_out, low, high (a 95 % interval of the median), smoothing_error, examples, abstained and
    infinite (shares), sigma. An example without a certificate, or with a vacuous one, counts as infinite.
    """
    parts = [_medians(run) for run in series.runs]
    if len(parts) > 1:
        for part in parts:
            part["eps_in"] = [float(f"{eps:.{DIGITS}g}") for eps in part["eps_in"]]
    return _best(parts, "eps_out", largest=False, by="eps_in")


def outputs_at(table: pd.DataFrame, eps: float) -> "pd.Series[float]":
    """eps_out of each example at an input radius. Infinite where `has_certificate` is false.

    Args:
        table: a run's rows, indexed by example.
        eps: the input radius, up to `DIGITS`.
    """
    rows = table[np.isclose(table["eps_in"], eps, rtol=10.0**-DIGITS)]
    return rows["eps_out"].astype(np.float64).where(has_certificate(rows), np.inf)


def has_certificate(rows: pd.DataFrame) -> pd.Series:
    """Which rows of outputs state something: certified, and below the metric's largest distance where that is known."""
    vacuous = rows["vacuous"].astype(str) == "True" if "vacuous" in rows else pd.Series(False, index=rows.index)
    return (rows["status"] == "certified") & ~vacuous


def median_interval(values: Values) -> tuple[float, float]:
    """The 95 % interval of the median of the population, from order statistics. Values may be infinite.

    The k-th smallest of n values exceeds the median with probability P[Binomial(n, 1/2) < k], and the k-th largest is
    below it with the same.
    """
    ordered, n = np.sort(values), len(values)
    k = int(scipy.stats.binom.ppf(OUTSIDE, n, 0.5))  # the largest k for which that is at most OUTSIDE
    return (float(ordered[k - 1]), float(ordered[n - k])) if k >= 1 else (0.0, float("inf"))


def _medians(run: StoredRun) -> pd.DataFrame:
    rows = []
    for eps, table in run.table.groupby("eps_in"):
        out, certified = table["eps_out"].to_numpy(dtype=np.float64), has_certificate(table).to_numpy()
        accepted = (table["status"] != "abstained").to_numpy()
        low, high = median_interval(np.where(certified, out, np.inf))
        median = median_with_abstentions(out, certified)
        row: dict[str, Any] = {"eps_in": float(eps), "eps_out": median, "low": low, "high": high}
        if "smoothing_error" in table:
            error = table["smoothing_error"].to_numpy(dtype=np.float64)
            row["smoothing_error"] = median_with_abstentions(error, accepted)
        shares = {"abstained": float(np.mean(~accepted)), "infinite": float(np.mean(~certified))}
        rows.append(row | {"examples": len(table), **shares, "sigma": sigma_of_any(run)})
    return pd.DataFrame(rows)


def _best(parts: list[pd.DataFrame], value: str, *, largest: bool, by: str = "radius") -> pd.DataFrame:
    """The row with the best value for each value of `by`."""
    if len(parts) == 1:
        return parts[0]
    rows = pd.concat(parts, ignore_index=True).sort_values([by, value], ascending=[True, not largest], kind="stable")
    return rows.drop_duplicates(by).reset_index(drop=True)
