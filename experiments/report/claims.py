"""Compares a paper's numbers (its expected.csv) and statements (its claims.csv) with our results.

Both give one verdict per row, with the columns `ROW`. The tolerance of a printed share is fixed before any run: it
depends only on expected.csv and the number of test examples (`share_tolerances`).
"""

from pathlib import Path

import numpy as np
import pandas as pd

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
    """Whether each difference is within its tolerance. None where the difference is missing."""
    return (difference.abs() <= tolerance + 1e-12).astype(object).where(difference.notna(), None)


def beside_paper(
    expected: Path, figure: str, table: pd.DataFrame, row: str, column: str, ours: str, count: str = "examples"
) -> pd.DataFrame:
    """Add the paper's numbers to a long table: new columns paper, difference, tolerance, within, reason.

    Args:
        expected: the paper's expected.csv.
        figure: id of the figure in expected.csv.
        table: one row per number.
        row: column of `table` that matches sigma_or_N.
        column: column of `table` that matches radius_or_column.
        ours: column with our numbers, which are shares of the examples.
        count: column with the number of examples.
    """
    numbers = pd.read_csv(expected, dtype={"sigma_or_N": str, "radius_or_column": str})
    printed = numbers.query("figure == @figure").set_index(["sigma_or_N", "radius_or_column"])
    keys = [(_text(r), _text(c)) for r, c in zip(table[row], table[column], strict=True)]
    found = printed.reindex(pd.MultiIndex.from_tuples(keys)).set_index(table.index)
    tolerance = share_tolerances(found["paper"], found["allowance"], found["population"], table[count])
    difference = table[ours] - found["paper"]
    return table.assign(
        paper=found["paper"],
        difference=difference,
        tolerance=tolerance,
        within=judged(difference, tolerance),
        reason=found["reason"].fillna(""),
    )


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def number_rows(table: pd.DataFrame, claim: str, quantity: str, cases: list[str], ours: str) -> pd.DataFrame:
    """Turn the rows of `beside_paper` that have a paper's number into verdicts.

    Args:
        table: columns paper, difference, tolerance, within, reason, and `ours`.
        claim: what the paper prints, and where.
        quantity: the quantity that the numbers measure.
        cases: a name for the number in each row of the table.
        ours: column with our numbers.
    """
    fixed = {"claim": claim, "quantity": quantity, "relation": "about", "kind": "number"}
    rows = table.assign(**fixed, case=cases, ours=table[ours])
    return rows[rows["within"].notna()][list(ROW)].reset_index(drop=True)


def all_rows(*parts: pd.DataFrame) -> pd.DataFrame:
    """All verdicts in one table. Empty parts are skipped."""
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()


def verdicts(claims: Path, figure: str, ours: dict[str, dict[str, float]]) -> pd.DataFrame:
    """A verdict on each case of a paper's claims about a figure: columns `ROW`; empty if there are no claims.

    Args:
        claims: the paper's claims.csv.
        figure: id of the figure in claims.csv.
        ours: our numbers, by quantity and then by case.
    """
    rows = []
    for claim in pd.read_csv(claims).query("figure == @figure").itertuples():
        for case, value in ours.get(claim.quantity, {}).items():
            difference = value - claim.paper
            holds = {
                "below": difference < claim.tolerance,
                "at most": difference <= claim.tolerance,
                "about": abs(difference) <= claim.tolerance,
            }
            rows.append(
                {
                    "claim": claim.claim,
                    "case": case,
                    "quantity": claim.quantity,
                    "relation": claim.relation,
                    "kind": claim.kind,
                    "paper": claim.paper,
                    "ours": value,
                    "difference": difference,
                    "tolerance": claim.tolerance,
                    "within": holds[claim.relation],
                    "reason": claim.reason,
                }
            )
    return pd.DataFrame(rows)
