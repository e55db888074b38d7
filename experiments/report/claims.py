"""Compares a paper's numbers (its expected.csv) and statements (its claims.csv) with our results.

Both give one verdict per row, with the columns `ROW`. The tolerance of a printed share is fixed before any run: it
depends only on expected.csv and the number of test examples (`share_tolerances`). An ordering must hold by more than
the noise of the test examples (`Measured`): its tolerance is negative. Each check has one of four `KINDS`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.report.measured import Measured
from smoothing import SettingError

KINDS = {
    "number": "a number that the paper prints",
    "trend": "a statement of the paper in words",
    "theorem": "true by construction: it tests the code and is no evidence of a reproduction",
    "ours": "a statement of ours, not of the paper",
}
HOLDS, FAILS, CLOSE = "holds", "does not hold", "too close to tell"
ROW = ("claim", "case", "quantity", "relation", "kind", "paper", "ours", "difference", "tolerance", "within", "reason")
LEAST_SHARE = 0.005  # a printed 0.00 may be a share up to this one


def share_tolerances(paper: pd.Series, allowance: pd.Series, population: pd.Series, examples: pd.Series) -> pd.Series:
    """The largest allowed difference between our share and the paper's: allowance + 2 sqrt(p (1 - p) / n (1 - n / N)).

    Args:
        paper: p, the printed shares in [0, 1]; NaN where the paper prints none.
        allowance: for causes other than the choice of test examples, such as rounding or another training run.
        population: N, the size of the test set that the n examples come from. 0: the examples do not matter.
        examples: n, the number of examples.
    """
    p = paper.clip(lower=LEAST_SHARE)
    left_out = (1 - examples / population).clip(lower=0)
    return allowance + 2 * np.sqrt(p * (1 - p) / examples * left_out)


def judged(difference: pd.Series, tolerance: pd.Series) -> pd.Series:
    """Whether each difference is within its tolerance. A missing difference, or a missing tolerance, never is."""
    return (difference.abs() <= tolerance + 1e-12).astype(object)


def beside_paper(
    expected: Path, figure: str, table: pd.DataFrame, row: str, column: str, ours: str, count: str = "examples"
) -> pd.DataFrame:
    """Add the paper's numbers to a long table: new columns paper, difference, tolerance, within, reason, kind.

    `within` is None where the paper prints nothing. A share of 0, or one of a run that is no better than one class for
    every example, agrees with no printed number except a 0 that is true by construction.

    Args:
        expected: the paper's expected.csv.
        figure: id of the figure in expected.csv.
        table: one row per number.
        row: column of `table` that matches sigma_or_N.
        column: column of `table` that matches radius_or_column.
        ours: column with our numbers, which are shares of the examples.
        count: column with the number of examples. The optional column `works` says whether the run is better than one
            class for every example.
    """
    numbers = pd.read_csv(expected, dtype={"sigma_or_N": str, "radius_or_column": str})
    printed = numbers.query("figure == @figure").set_index(["sigma_or_N", "radius_or_column"])
    keys = [(_text(r), _text(c)) for r, c in zip(table[row], table[column], strict=True)]
    found = printed.reindex(pd.MultiIndex.from_tuples(keys)).set_index(table.index)
    tolerance = share_tolerances(found["paper"], found["allowance"], found["population"], table[count])
    empty = (found["paper"] > 0) & ~(table[ours] > 0) | ~table.get("works", pd.Series(True, index=table.index))
    tolerance = tolerance.mask(empty & (found["kind"] != "theorem"))
    difference = table[ours] - found["paper"]
    return table.assign(
        paper=found["paper"],
        difference=difference,
        tolerance=tolerance,
        within=judged(difference, tolerance).where(found["paper"].notna(), None),
        reason=found["reason"].fillna(""),
        kind=found["kind"].fillna(""),
    )


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def number_rows(table: pd.DataFrame, claim: str, quantity: str, cases: list[str], ours: str) -> pd.DataFrame:
    """Turn the rows of `beside_paper` that have a paper's number into verdicts.

    Args:
        table: columns paper, difference, tolerance, within, reason, kind, and `ours`.
        claim: what the paper prints, and where.
        quantity: the quantity that the numbers measure.
        cases: a name for the number in each row of the table.
        ours: column with our numbers.
    """
    fixed = {"claim": claim, "quantity": quantity, "relation": "about"}
    rows = table.assign(**fixed, case=cases, ours=table[ours])
    return rows[rows["within"].notna()][list(ROW)].reset_index(drop=True)


def all_rows(*parts: pd.DataFrame) -> pd.DataFrame:
    """All verdicts in one table. Empty parts are skipped."""
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()


def verdicts(claims: Path, figure: str, ours: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """A verdict on each case of a paper's claims about a figure: columns `ROW`; empty if there are no claims.

    Args:
        claims: the paper's claims.csv.
        figure: id of the figure in claims.csv.
        ours: our numbers, by quantity and then by case: floats, or `Measured` ones, whose noise makes the tolerance of
            "below" and "at most" smaller. A number that is NaN, or whose noise is, never holds.

    Raises:
        SettingError: a claim has an unknown kind.
    """
    rows = []
    for claim in pd.read_csv(claims).query("figure == @figure").itertuples():
        if claim.kind not in KINDS:
            raise SettingError(f"{claims}: expected one of {', '.join(KINDS)} as kind, got '{claim.kind}'")
        for case, given in ours.get(claim.quantity, {}).items():
            number = given if isinstance(given, Measured) else Measured(given, 0.0)
            difference, tolerance = number.value - claim.paper, claim.tolerance - number.noise
            holds = {
                "below": difference < tolerance,
                "at most": difference <= tolerance,
                "about": abs(difference) <= tolerance,
            }
            rows.append(
                {
                    "claim": claim.claim,
                    "case": case,
                    "quantity": claim.quantity,
                    "relation": claim.relation,
                    "kind": claim.kind,
                    "paper": claim.paper,
                    "ours": number.value,
                    "difference": difference,
                    "tolerance": tolerance,
                    "within": holds[claim.relation],
                    "reason": claim.reason,
                }
            )
    return pd.DataFrame(rows)


def verdict_words(claims: pd.DataFrame) -> "pd.Series[str]":
    """HOLDS, FAILS or CLOSE for each verdict. CLOSE: the paper's ordering, within the noise of the examples."""
    within, ordering = claims["within"].astype(bool), claims["relation"] != "about"
    close = ordering & (claims["difference"] < 0) & (claims["tolerance"] <= claims["difference"])
    return pd.Series(np.select([within, close], [HOLDS, CLOSE], FAILS), index=claims.index)
