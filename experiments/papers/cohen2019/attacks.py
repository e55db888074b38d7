"""Tightness of the certificates: Cohen et al.'s attack within multiples of the certified radius (section 4, J.3)."""

import pandas as pd

from experiments.papers.cohen2019.results import CLAIMS, EXPECTED, CohenFigure, tidy
from experiments.report.certified_accuracy import share_band
from experiments.report.claims import all_rows, beside_paper, number_rows, verdicts
from experiments.report.figure import Drawing
from experiments.report.text_table import texts
from experiments.report.titles import title_of
from experiments.runs.reader import StoredRun, experiment_of


class AttackTable(CohenFigure):
    """For each sigma, the share of attacked examples whose class changes, with its 95% Clopper-Pearson interval.

    Examples on which Certify abstains or is wrong are neither attacked nor counted.

    Args:
        experiments: see `Figure`.
        expected_for: the experiment of the paper's numbers. Other experiments show them for orientation only.
    """

    certifier = "Attack"
    also = "certifier=attack limit=30"

    def __init__(self, experiments: list[str], expected_for: str) -> None:
        super().__init__(experiments)
        self.expected_for = expected_for

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = tidy(runs)
        found = [_shares(sigma, factor, group) for (sigma, factor), group in rows.groupby(["sigma", "factor"])]
        table = beside_paper(EXPECTED, "cohen_attack", pd.DataFrame(found), "sigma", "factor", "share", "attacked")
        if experiment_of(runs[0]) != self.expected_for:
            printed = table["paper"].notna()
            table["within"] = None
            table.loc[printed, "reason"] = f"not comparable: the paper's number is for {self.expected_for}"
        name = title_of(runs[0].record["config"]["name"])
        caption = f"Attacks on certified examples that succeed within multiples of the certified radius R, {name}"
        header, lines = _grid(table, self.expected_for)
        inside = table[(table["factor"] <= 1) & (table["attacked"] > 0)]
        cases = {f"sigma = {row.sigma:g}, within {row.factor:g} R": row.share for row in inside.itertuples()}
        printed_cases = [f"sigma = {row.sigma:g}, within {row.factor:g} R" for row in table.itertuples()]
        printed = number_rows(table, "the shares of section 4", "share of attacks that succeed", printed_cases, "share")
        held = verdicts(CLAIMS, "cohen_attack", {"share of attacks within the certified radius that succeed": cases})
        return Drawing(None, table, all_rows(printed, held), _notes(table), texts([(caption, header, lines)]))


def _shares(sigma: float, factor: float, rows: pd.DataFrame) -> dict[str, float | int]:
    attacked = int((rows["status"] == "attacked").sum())
    successes = int(rows["success"].sum())
    low, high = share_band(successes, attacked) if attacked else (0.0, 1.0)
    return {
        "sigma": sigma,
        "factor": factor,
        "share": successes / attacked if attacked else float("nan"),
        "low": low,
        "high": high,
        "successes": successes,
        "attacked": attacked,
        "examples": len(rows),
    }


def _grid(table: pd.DataFrame, expected_for: str) -> tuple[list[str], list[list[str]]]:
    """One line for each sigma, followed by the paper's line."""
    factors = sorted(table["factor"].unique())
    lines = []
    for sigma, part in table.groupby("sigma"):
        by_factor = part.set_index("factor")
        cells = [_cell(by_factor.loc[factor]) if factor in by_factor.index else "" for factor in factors]
        lines.append([f"{sigma:g}", f"{by_factor['attacked'].iloc[0]} of {by_factor['examples'].iloc[0]}", *cells])
    for sigma, part in table.dropna(subset="paper").groupby("sigma"):
        printed = part.set_index("factor")["paper"]
        cells = [f"{printed[factor]:.2f}" if factor in printed else "" for factor in factors]
        lines.append([f"{sigma:g}, the paper's {title_of(expected_for)}", "", *cells])
    return ["sigma", "attacked", *(f"within {factor:g} R" for factor in factors)], lines


def _cell(row: pd.Series) -> str:
    return f"{row['share']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" if row["attacked"] else ""


def _notes(table: pd.DataFrame) -> list[str]:
    notes = ["in brackets: the 95% confidence interval of the share over attacked examples"]
    for row in table.dropna(subset="paper").itertuples():
        verdict = {True: "within", False: "outside"}.get(row.within, "")
        beside = f"{verdict} its tolerance of {row.tolerance:g} ({row.reason})" if verdict else row.reason
        notes.append(f"sigma = {row.sigma:g}, {row.factor:g} R: {row.share:.2f}, the paper {row.paper:.2f}: {beside}")
    return notes
