"""Compares a paper's numbers (its expected.csv) and statements (its claims.csv) with our results.

Both give one verdict per row, with the columns `ROW`. The tolerance of a printed share is fixed before any run: it
depends only on expected.csv and the number of test examples (`share_tolerances`). An ordering must hold by more than
the noise of the test examples (`Measured`): its tolerance is negative. Each check has one of four `KINDS`.
"""

import sys
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
RELATIONS = ("below", "at most", "about")
HOLDS, FAILS, CLOSE = "holds", "does not hold", "too close to tell"
COLUMNS = ("figure", "claim", "quantity", "relation", "paper", "tolerance", "reason", "kind")  # of claims.csv
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

    A claim about a quantity that is not among ours is left out: these runs may not have it. Where one of ours is in no
    claim of the file, either may be misspelled: stderr then names both.

    Raises:
        SettingError: a column is missing, or a claim has an unknown kind or relation.
    """
    said = pd.read_csv(claims)
    if missing := [name for name in COLUMNS if name not in said]:
        raise SettingError(f"{claims}: expected the columns {', '.join(COLUMNS)}; {', '.join(missing)} is missing")
    for column, known in (("kind", tuple(KINDS)), ("relation", RELATIONS)):
        for word in said.loc[~said[column].isin(known), column]:
            raise SettingError(f"{claims}: expected one of {', '.join(known)} as {column}, got '{word}'")
    _say_unmatched(claims, figure, said, set(ours))
    rows = []
    for claim in said[said["figure"] == figure].itertuples():
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


def _say_unmatched(claims: Path, figure: str, said: pd.DataFrame, ours: set[str]) -> None:
    """Print on stderr what is claimed but not computed, if something is computed but in no claim of the file.

    Args:
        claims: the file, for messages.
        figure: id of the figure.
        said: the whole file.
        ours: the quantities that the figure computes for these runs.
    """
    claimed = set(said.loc[said["figure"] == figure, "quantity"])
    lacking, others, computed = (
        ", ".join(f"'{name}'" for name in sorted(names))
        for names in (claimed - ours, ours - set(said["quantity"]), ours)
    )
    if ours and not claimed:
        print(f"{claims}: no claims of figure {figure}, which computes {computed}", file=sys.stderr)
    elif others and lacking:
        print(
            f"{claims}: claims of figure {figure} are not checked, because it does not compute their quantity, "
            f"{lacking}; it computes {others}, which no claim is about",
            file=sys.stderr,
        )


def verdict_words(claims: pd.DataFrame) -> "pd.Series[str]":
    """HOLDS, FAILS or CLOSE for each verdict. CLOSE: the paper's ordering, within the noise of the examples."""
    within, ordering = claims["within"].astype(bool), claims["relation"] != "about"
    close = ordering & (claims["difference"] < 0) & (claims["tolerance"] <= claims["difference"])
    return pd.Series(np.select([within, close], [HOLDS, CLOSE], FAILS), index=claims.index)
