"""What a paper prints or claims, beside ours: its expected.csv holds the numbers, its claims.csv the statements.

Either gives rows of one form, `ROW`: a verdict each. The tolerance of a printed share is set before any run, from what
expected.csv says and the number of test examples alone: see `share_tolerances`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

ROW = ("claim", "case", "quantity", "relation", "kind", "paper", "ours", "difference", "tolerance", "within", "reason")
LEAST_SHARE = 0.005  # that a printed 0.00 may stand for


def share_tolerances(paper: pd.Series, allowance: pd.Series, population: pd.Series, examples: pd.Series) -> pd.Series:
    """How far a share of `examples` may be from the paper's: allowance + 2 sqrt(p (1 - p) / n (1 - n / N)).

    Args:
        paper: p, the printed shares in [0, 1]; NaN where none is.
        allowance: for what test examples have nothing to do with, as rounding and another training.
        population: N, of the test set that the n examples are of. 0: the number holds whatever the examples.
        examples: n.
    """
    p = paper.clip(lower=LEAST_SHARE)
    left_out = (1 - examples / population).clip(lower=0)
    return allowance + 2 * np.sqrt(p * (1 - p) / examples * left_out)


def judged(difference: pd.Series, tolerance: pd.Series) -> pd.Series:
    """Whether each difference is within its tolerance; None where there is no difference."""
    return (difference.abs() <= tolerance + 1e-12).astype(object).where(difference.notna(), None)


def beside_paper(
    expected: Path, figure: str, table: pd.DataFrame, row: str, column: str, ours: str, count: str = "examples"
) -> pd.DataFrame:
    """A long table with the paper's numbers: new columns paper, difference, tolerance, within, reason; a row each.

    Args:
        expected: the paper's expected.csv.
        figure: its id there.
        table: one row a number.
        row: the column that holds its sigma_or_N.
        column: the column that holds its radius_or_column.
        ours: the column of our numbers, shares.
        count: the column of the numbers of examples that they are shares of.
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
    """The judged rows of a table as `beside_paper` returns it, as verdicts.

    Args:
        table: columns paper, difference, tolerance, within, reason, and that of our numbers.
        claim: what is printed, where.
        quantity: what the numbers are.
        cases: for each row of the table, which number it is.
        ours: the column of our numbers.
    """
    fixed = {"claim": claim, "quantity": quantity, "relation": "about", "kind": "number"}
    rows = table.assign(**fixed, case=cases, ours=table[ours])
    return rows[rows["within"].notna()][list(ROW)].reset_index(drop=True)


def all_rows(*parts: pd.DataFrame) -> pd.DataFrame:
    """Verdicts one after another; those that are empty left out."""
    some = [part for part in parts if len(part)]
    return pd.concat(some, ignore_index=True) if some else pd.DataFrame()


def verdicts(claims: Path, figure: str, ours: dict[str, dict[str, float]]) -> pd.DataFrame:
    """A paper's claims about a figure, with a verdict on each case: columns `ROW`; empty where it claims nothing.

    Args:
        claims: the paper's claims.csv.
        figure: its id there.
        ours: by quantity, then by case: the number that we have.
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
