"""ACR and certified accuracy of the training methods, beside the published numbers."""

import numpy as np
import pandas as pd

from experiments.papers.training.results import ACR, TrainingFigure, by_method, notes_on, numbers, verdicts_on_numbers
from experiments.report.certified_accuracy import one_class_notes
from experiments.report.figure import Drawing
from experiments.report.text_table import Table, texts
from experiments.runs.reader import StoredRun

OUTSIDE_MARK = "*"


class TrainingTable(TrainingFigure):
    """A table of ACR, and one of certified accuracy for each sigma; rows are methods.

    Args:
        experiments: see `Figure`.
    """

    def draw(self, runs: list[StoredRun]) -> Drawing:
        chosen = by_method(runs)
        table = numbers(chosen)
        notes = notes_on(chosen) + one_class_notes({f"{m}, sigma = {s:g}": run for (m, s), run in chosen.items()})
        return Drawing(None, table, verdicts_on_numbers(table), notes, texts(_tables(table)))


def _tables(table: pd.DataFrame) -> list[Table]:
    acr = table[table["quantity"] == ACR].assign(column=lambda rows: [f"sigma = {s:g}" for s in rows["sigma"]])
    most = table["examples"].max()
    caption = (
        f"Average certified radius (ACR) of LeNet on {most} test images of MNIST. In parentheses: published for the "
        f"same images; {OUTSIDE_MARK}: outside the tolerance of expected.csv"
    )
    tables: list[Table] = [(caption, *_grid(acr, digits=3))]
    for sigma, part in table[table["quantity"] != ACR].groupby("sigma"):
        part = part.assign(column=[f"r = {q}" for q in part["quantity"]])
        tables.append((f"Certified accuracy in percent at l2 radii r, sigma = {sigma:g}", *_grid(part, percent=True)))
    return tables


def _grid(part: pd.DataFrame, digits: int = 1, *, percent: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and lines: our number, the published one in parentheses, the best of ours in bold."""
    columns, scale = list(dict.fromkeys(part["column"])), 100 if percent else 1
    best = part.groupby("column")["ours"].max()
    lines = []
    for method, rows in part.groupby("method", sort=False):
        cells = []
        for column in columns:
            row = next(rows[rows["column"] == column].itertuples(), None)
            if row is None:
                cells.append("")
                continue
            cell = f"{scale * row.ours:.{digits}f}"
            cell = f"**{cell}**" if row.ours == best[column] > 0 else cell
            if not np.isnan(row.paper):
                cell += f" ({scale * row.paper:.{digits}f}){'' if row.within else OUTSIDE_MARK}"
            cells.append(cell)
        lines.append([str(method), *cells])
    return ["method", *columns], lines
