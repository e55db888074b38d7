"""Tables 1 to 4 of Cohen et al.: certified accuracy at radii, the best sigma for each radius, and Predict against N.

Each is written as Markdown, LaTeX and CSV. Where the paper prints a number, the table has paper, ours, difference and
whether ours is within the tolerance.
"""

from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.cohen2019.results import (
    CLAIMS,
    EXPECTED,
    CohenFigure,
    alpha_notes,
    in_order,
    of_the_paper,
)
from experiments.report.certified_accuracy import better_than_one_class, certified_accuracy, one_class_notes, rows_of
from experiments.report.claims import all_rows, beside_paper, number_rows, verdicts
from experiments.report.figure import Drawing
from experiments.report.left_out import NOT_LISTED
from experiments.report.measured import Measured, measured
from experiments.report.text_table import texts
from experiments.report.titles import examples_text, title_of
from experiments.runs.reader import StoredRun, experiment_of, sigma_of

OUTSIDE_MARK, PAPER_N = "*", 100_000
STAND_IN = 100  # a prediction from this many times more samples stands in for g
FEWEST_ABSTENTIONS = 30  # abstentions needed to judge a majority
CONTRADICTION = (
    "the paper contradicts itself on N = 10,000: appendix E.2 says that it abstains 4 % of the time, table 4 and "
    "section 4 say 1 %; we compare with table 4"
)
VALUES = {"accuracy": "certified accuracy", "share": "share of the examples"}


class CertifiedAccuracyTable(CohenFigure):
    """Tables 2 and 3, and table 1 from them.

    Args:
        experiments: see `Figure`.
        radii: the columns, in the units of the input.
        expected: id in expected.csv of the numbers to compare with. If given, only runs of `experiments` are used.
    """

    def __init__(self, experiments: list[str], radii: list[float], expected: str | None = None) -> None:
        super().__init__(experiments)
        self.radii, self.expected = radii, expected

    def why_not(self, run: StoredRun) -> str:
        listed = not self.expected or experiment_of(run) in self.experiments
        return super().why_not(run) or ("" if listed else NOT_LISTED)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        parts = []
        drawn = in_order(runs)
        for run in drawn:
            accuracy = certified_accuracy(*rows_of(run), np.array(self.radii))
            parts.append(accuracy.assign(sigma=sigma_of(run), works=better_than_one_class(run)))
        table = pd.concat(parts, ignore_index=True)
        table = table[["sigma", *(name for name in table if name != "sigma")]]
        if self.expected and of_the_paper(runs[0]):
            table = beside_paper(EXPECTED, self.expected, table, "sigma", "radius", "accuracy")
        table = table.drop(columns="works")
        best = table.loc[table.groupby("radius")["accuracy"].idxmax()]
        clean = table[table["radius"] == min(self.radii)].set_index("sigma")["accuracy"]
        best_rows = [
            [f"{b.radius:g}", f"{b.sigma:g}", f"{b.accuracy:.2f}", f"{clean[b.sigma]:.2f}"]
            for b in best.itertuples()
            if b.radius > min(self.radii) and b.accuracy > 0
        ]
        best_header = ["l2 radius", "best sigma", "certified accuracy", f"accuracy at r = {min(self.radii):g}"]
        name = title_of(runs[0].record["config"]["name"])
        caption = (
            f"Certified top-1 accuracy at l2 radii r in [0, 1] pixel units, {name}, {examples_text(table['examples'])}"
        )
        grid = _grid(table, "sigma", "radius", "accuracy", "r = ", bold=True)
        best_table = ("The best sigma for each radius", best_header, best_rows)
        notes = alpha_notes(runs) + one_class_notes({f"sigma = {sigma_of(run):g}": run for run in drawn})
        return _drawing(table, grid, caption, [best_table], notes)


class PredictTable(CohenFigure):
    """Table 4: Predict against its number of samples N.

    A prediction is *correct* if it is the label, and *accurate* if it is g(x). The prediction from the most samples
    stands in for g(x) (N = 100,000 in the paper).

    Args:
        experiments: see `Figure`.
        expected_for: the experiment of the paper's numbers.
        expected_sigma: the sigma of the paper's numbers.
    """

    certifier = "Predict"
    also = "certifier=predict certifier.n=100,1000,10000,100000"

    def __init__(self, experiments: list[str], expected_for: str, expected_sigma: float) -> None:
        super().__init__(experiments)
        self.expected_for, self.expected_sigma = expected_for, expected_sigma

    def setting(self, run: StoredRun) -> dict[str, Any]:
        certifier = {key: value for key, value in run.identity["certifier"].items() if key != "n"}
        return {**run.identity, "certifier": certifier}  # one noise, one set of weights

    def draw(self, runs: list[StoredRun]) -> Drawing:
        ordered = in_order(runs)
        most = ordered[-1]
        sigma, most_samples = sigma_of(most), most.identity["certifier"]["n"]
        g = most.table.set_index("index")["predict"].rename("g")
        rows = []
        for run in ordered:
            both = run.table.set_index("index").join(g, how="inner")
            answered, right = both["predict"] >= 0, both["predict"] == both["label"]
            accurate = both["predict"] == both["g"]
            shares = {
                "correct and accurate": answered & right & accurate,
                "correct and inaccurate": answered & right & ~accurate,
                "incorrect and accurate": answered & ~right & accurate,
                "incorrect and inaccurate": answered & ~right & ~accurate,
                "abstained": ~answered,
            }
            rows += [
                {
                    "N": run.identity["certifier"]["n"],
                    "outcome": name,
                    "share": float(share.mean()),
                    "examples": len(both),
                }
                for name, share in shares.items()
            ]
        long = pd.DataFrame(rows)
        as_printed = most_samples >= PAPER_N and sigma == self.expected_sigma  # fewer samples cannot stand in for g
        if as_printed and experiment_of(most) == self.expected_for and of_the_paper(most):
            long = long.assign(works=better_than_one_class(most))
            long = beside_paper(EXPECTED, "cohen_predict", long, "N", "outcome", "share").drop(columns="works")
        name = title_of(most.record["config"]["name"])
        caption = (
            f"Predict against its number of samples N, {name}, sigma = {sigma:g}, {examples_text(long['examples'])}; "
            f"accurate: same class as with N = {most_samples}"
        )
        beside = "paper" in long
        drawing = _drawing(
            long, _grid(long, "N", "outcome", "share", "", bold=False), caption, [], [CONTRADICTION] * beside
        )
        said = verdicts(CLAIMS, "cohen_predict", _abstentions(ordered[0], most))
        return replace(drawing, claims=all_rows(drawing.claims, said))


def _abstentions(run: StoredRun, most: StoredRun) -> dict[str, dict[str, Measured]]:
    """The quantity in claims.csv about predictions from the fewest samples. Empty if g has no good stand-in.

    Args:
        run: the run with the fewest samples.
        most: the run with the most, whose predictions stand in for g. Where it abstains, nothing is known of g.
    """
    n = run.identity["certifier"]["n"]
    both = run.table.set_index("index").join(most.table.set_index("index")["predict"].rename("g"), how="inner")
    abstained = both[(both["predict"] < 0) & (both["g"] >= 0)]
    if most.identity["certifier"]["n"] < STAND_IN * n or len(both[both["predict"] < 0]) < FEWEST_ABSTENTIONS:
        return {}
    case = f"sigma = {sigma_of(run):g}, N = {n}, {len(abstained)} abstentions"
    right = Measured(nan, nan)
    if len(abstained) and better_than_one_class(most):
        right = measured(lambda values: float(values.mean()), (abstained["g"] == abstained["label"]).astype(float))
    return {"share of the abstentions on examples that g has right": {case: right}}


def _grid(
    table: pd.DataFrame, row: str, column: str, value: str, prefix: str, *, bold: bool
) -> tuple[list[str], list[list[str]]]:
    """Header and lines: our number, with the paper's in parentheses and a mark if ours is outside the tolerance."""
    columns = list(table[column].unique())
    header = [row, *(c if isinstance(c, str) else f"{prefix}{c:g}" for c in columns)]
    largest = table.groupby(column)[value].max()
    lines = []
    for name, part in table.groupby(row):
        cells = []
        for entry in part.to_dict("records"):
            best = bold and entry[value] == largest[entry[column]] > 0
            cell = f"**{entry[value]:.2f}**" if best else f"{entry[value]:.2f}"
            if "paper" in entry and not np.isnan(entry["paper"]):
                cell += f" ({entry['paper']:.2f}){'' if entry['within'] else OUTSIDE_MARK}"
            cells.append(cell)
        lines.append([f"{name:g}", *cells])
    return header, lines


def _drawing(
    table: pd.DataFrame,
    grid: tuple[list[str], list[list[str]]],
    caption: str,
    more: list[tuple[str, list[str], list[list[str]]]],
    notes: list[str],
) -> Drawing:
    """A table without a figure: the grid, further tables, and the comparison with the paper."""
    claims = pd.DataFrame()
    if "paper" in table:
        caption += f". In parentheses: the paper; {OUTSIDE_MARK}: outside the tolerance of expected.csv"
        row, column, value = table.columns[0], *[c for c in ("radius", "outcome", "accuracy", "share") if c in table]
        cases = [f"{row} = {r:g}, {_place(column, c)}" for r, c in zip(table[row], table[column], strict=True)]
        claims = number_rows(table, "the numbers of its table", VALUES[value], cases, value)
        lines = []
        for e in table.dropna(subset="paper").to_dict("records"):
            place = e[column] if isinstance(e[column], str) else f"{e[column]:g}"
            numbers = [f"{e['paper']:.2f}", f"{e[value]:.3f}", f"{e['difference']:+.3f}", f"{e['tolerance']:.3f}"]
            lines.append([f"{e[row]:g}", place, *numbers, "yes" if e["within"] else "no"])
        header = [row, column, "paper", "ours", "difference", "tolerance", "within"]
        more = [*more, ("Compared with the paper", header, lines)]
    tables = [(caption, *grid), *more]
    return Drawing(None, table, claims, notes, texts(tables))


def _place(column: str, value: float | str) -> str:
    return value if isinstance(value, str) else f"{column} = {value:g}"
