"""What the paper prints or claims, beside ours: expected.csv holds its numbers, claims.csv its statements."""

from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent


def beside_paper(figure: str, table: pd.DataFrame, row: str, column: str, ours: str) -> pd.DataFrame:
    """A long table with the paper's numbers: new columns paper, difference, tolerance, within, reason; a row each.

    Args:
        figure: its id in expected.csv.
        table: one row a number.
        row: the column that holds expected.csv's sigma_or_N.
        column: the column that holds expected.csv's radius_or_column.
        ours: the column of our numbers.
    """
    expected = pd.read_csv(HERE / "expected.csv", dtype={"sigma_or_N": str, "radius_or_column": str})
    printed = {(e.sigma_or_N, e.radius_or_column): e for e in expected.query("figure == @figure").itertuples()}
    found = [printed.get((_text(r), _text(c))) for r, c in zip(table[row], table[column], strict=True)]
    paper = pd.Series([e.paper if e else float("nan") for e in found], index=table.index)
    tolerance = pd.Series([e.tolerance if e else float("nan") for e in found], index=table.index)
    difference = table[ours] - paper
    within = (difference.abs() <= tolerance + 1e-12).astype(object).where(paper.notna(), None)
    return table.assign(
        paper=paper,
        difference=difference,
        tolerance=tolerance,
        within=within,
        reason=[e.reason if e else "" for e in found],
    )


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def verdicts(figure: str, ours: dict[str, dict[str, float]], claims: Path = HERE / "claims.csv") -> pd.DataFrame:
    """A paper's claims about a figure, with a verdict on each case.

    Args:
        figure: its id.
        ours: by quantity, then by case: the number that we have.
        claims: the paper's file.
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
                    "paper": claim.paper,
                    "ours": value,
                    "difference": difference,
                    "within": holds[claim.relation],
                }
            )
    return pd.DataFrame(rows)
