"""Prints any run's table in the terminal: medians, certified accuracy or abstentions, depending on its columns."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.machine.words import counted
from experiments.report.costs import cost_of, provenance_of
from experiments.runs.certifier_class import certifier_in
from experiments.runs.examples import read_examples
from experiments.runs.reader import StoredRun, find_runs, median_with_abstentions, read_record, unfinished
from experiments.runs.table import answers_in, empty_examples, is_empty, read_table
from smoothing import SmoothingError

ROWS_SHOWN = 24
SOME = 8  # predictions of one class that are suspicious
RADII = 8  # columns of certified accuracy, from 0 up to the largest radius
NUMBER = r"(?<![A-Za-z])[-+]?\d+(\.\d+)?(e[-+]?\d+)?"  # does not match the 1 of Delta1
CURVES = (  # column, and the names of its curve and of its mean
    ("radius", "certified accuracy", "ACR (average certified radius)"),
    ("distance", "not fooled within r", "mean distance over all examples (0 if misclassified)"),
)
STEPS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REMEDIES = (  # words of a reason, and what to do
    ("> delta", "raise certifier.n or certifier.delta"),
    ("p-value", "raise certifier.n"),
    ("not finite", "look for NaN in the outputs of the model and the metric"),
    ("NaN or infinite", "look for NaN in the outputs of the model"),
)
VACUOUS = "vacuous: eps_out is at least the metric's largest distance, so it says nothing"


def summaries(folders: Sequence[Path]) -> str:
    """A summary of each run in folders and their subfolders. Raises SmoothingError if a folder has no run."""
    runs = {folder: find_runs(folder) for folder in folders}
    for folder, found in runs.items():
        if not found:
            raise SmoothingError(f"table: no run.json in '{folder}' or below; give a folder that certify.py wrote")
    return "\n\n".join(summary(run) for found in runs.values() for run in found)


def summary(run: StoredRun) -> str:
    """A run's folder, settings, cost and the summary of its table."""
    made = provenance_of([run])
    lines = [str(run.folder), *(f"  {heading}: {text}" for heading, text in made.items())]
    if run.table.empty:
        return "\n".join([*lines, "  no rows yet"])
    lines += [f"  unfinished: {left}"] if (left := unfinished(run)) else []
    return "\n".join([*lines, f"  cost: {cost_of([run])}", "", *(f"  {line}" for line in table_summary(run.table))])


def terminal_table(folder: Path, asked: Sequence[int] | None = None) -> str:
    """A run's table for the terminal: its rows, or a summary if there are more than `ROWS_SHOWN`; and the reasons.

    Args:
        folder: of the run.
        asked: the examples to show; all if not given.
    """
    table = read_table(folder)
    rows = len(table)
    table = table if asked is None else table[table["index"].isin(asked)]
    others = [f"{len(table)} of the table's {rows} rows were asked for"] if len(table) < rows else []
    if len(table) > ROWS_SHOWN:
        return "\n".join([*table_summary(table), *others])
    certifier = certifier_in(folder)
    shown = table[[name for name in certifier.shown if name in table] if certifier else list(table)].copy()
    classes = read_record(min(folder.glob("run*.json"))).get("classes", [])
    for column in ("label", "predict"):
        if column in shown and classes != [str(k) for k in range(len(classes))]:
            shown[column] = [f"{k} {classes[k]}" if 0 <= k < len(classes) else str(k) for k in shown[column]]
    vacuous = _is_vacuous(table)
    if vacuous.any():
        shown["status"] = shown["status"].where(~vacuous, "vacuous")
    if empty_examples(table):
        shown["empty"] = is_empty(table)
    if answers_in(table) is not None:
        shown["answers"] = table["answers"]
    examples = read_examples(folder)
    if "file" in examples and (examples["file"] != "").any():
        shown["file"] = shown["index"].map(examples.set_index("index")["file"]).fillna("")
    lines = [VACUOUS] * bool(vacuous.any()) + _reasons(table) + others
    text = shown.to_string(index=False, float_format=lambda value: f"{value:.4g}")
    return "\n".join([text, *([""] if lines else []), *lines])


def table_summary(table: pd.DataFrame) -> list[str]:
    """The summary that fits a table's columns: output certificates, classification with or without radii, attacks."""
    if "eps_out" in table:
        count, examples = empty_examples(table), table["index"].nunique()
        empty = [f"{count} of {counted(examples, 'example')}: the smoothed output is empty"] if count else []
        vacuous = [VACUOUS] * bool(_is_vacuous(table).any())
        return [*_aligned(_medians(table)), *vacuous, *empty, *_reasons(table)]
    if "factor" in table:
        return _aligned(_successes(table))
    counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    examples = table["index"].nunique()
    many = counted(examples, "example") + (f", {len(table):,} rows" if len(table) > examples else "")
    if "correct" not in table:
        return [f"{many}: {counts}", *_reasons(table)]
    lines = [f"{many}: {counts}; correct {table['correct'].mean():.1%}", *_one_class(table)]
    for column, heading, mean in CURVES:
        if column in table:
            held = table[column].where(table["correct"].astype(bool), -1.0).to_numpy(dtype=np.float64)
            shares = [("r", *_radii(held)), (heading, *(f"{(held >= r).mean():.3f}" for r in _radii(held)))]
            none = "all examples abstained" if (table["status"] == "abstained").all() else "no example is correct"
            lines += _aligned(shares) if table["correct"].any() else [f"{heading}: 0 at every r, because {none}"]
            lines.append(f"{mean}: {held.clip(min=0).mean():.4g}")
    return lines + _reasons(table)


def _one_class(table: pd.DataFrame) -> list[str]:
    """A line if all answers are the same class though the labels differ, as those of a constant network."""
    predicted = table["predict"][table["predict"] >= 0] if {"predict", "label"} <= set(table) else pd.Series()
    if len(predicted) < SOME or predicted.nunique() > 1 or table["label"].nunique() == 1:
        return []
    return [f"all {len(predicted)} predictions are class {predicted.iloc[0]}: is it the right checkpoint?"]


def _is_vacuous(table: pd.DataFrame) -> pd.Series:
    """Which certified rows say nothing. None in tables without that column."""
    if "vacuous" not in table:
        return pd.Series(False, index=table.index)
    return (table["status"] == "certified") & (table["vacuous"].astype(str) == "True")


def _reasons(table: pd.DataFrame) -> list[str]:
    """Why rows have no certificate: each reason once with its count. Reasons that differ only in numbers are merged."""
    if "reason" not in table:
        return []
    told = table.assign(reason=table["reason"].astype(str))
    told = told[~told["status"].isin(["certified", "predicted"]) & (told["reason"] != "")]
    alike = told.groupby([told["status"], told["reason"].str.replace(NUMBER, "#", regex=True)], sort=False)
    found = sorted(
        ((len(rows), status, rows["reason"].unique()) for (status, _), rows in alike), key=lambda one: -one[0]
    )
    return [
        f"{count} {status}{', for example' if len(reasons) > 1 else ''}: {reasons[0]}{_remedy(reasons[0])}"
        for count, status, reasons in found
    ]


def _remedy(reason: str) -> str:
    return next((f"; {what}" for words, what in REMEDIES if words in reason), "")


def _radii(held: np.ndarray) -> list[float]:
    """At most `RADII` round numbers from 0 to the largest finite radius."""
    largest = max((float(r) for r in held if np.isfinite(r)), default=0.0)
    step = next((step for step in STEPS if step * (RADII - 1) >= largest), largest / (RADII - 1))
    radii = [round(step * k, 6) for k in range(RADII)]
    return [r for r in radii if r <= largest]


def _medians(table: pd.DataFrame) -> list[tuple[object, ...]]:
    answers, vacuous = answers_in(table), _is_vacuous(table)
    more = [*(["vacuous"] if vacuous.any() else []), *([] if answers is None else ["surely answers"])]
    lines: list[tuple[object, ...]] = [
        ("eps_in", "examples", "certified", "abstained", *more, "median eps_out", "median smoothing error")
    ]
    for eps, rows in table.groupby("eps_in"):
        certified, abstained = (rows["status"] == "certified").to_numpy(), (rows["status"] == "abstained").to_numpy()
        out = median_with_abstentions(rows["eps_out"].to_numpy(), certified)
        error = median_with_abstentions(rows["smoothing_error"].to_numpy(), ~abstained)
        shares = [f"{share.mean():.0%}" for share in (certified, abstained)]
        shares += [f"{vacuous[rows.index].mean():.0%}"] if vacuous.any() else []
        shares += [] if answers is None else [f"{answers[rows.index].mean():.0%}"]
        lines.append((f"{eps:.4g}", len(rows), *shares, f"{out:.4g}", f"{error:.4g}"))
    return lines


def _successes(table: pd.DataFrame) -> list[tuple[object, ...]]:
    lines: list[tuple[object, ...]] = [("within", "examples", "attacked", "share that succeeded")]
    for factor, rows in table.groupby("factor"):
        attacked = rows["status"] == "attacked"
        share = f"{rows.loc[attacked, 'success'].astype(bool).mean():.1%}" if attacked.any() else "-"
        lines.append((f"{factor:g} R", len(rows), int(attacked.sum()), share))
    return lines


def _aligned(lines: list[tuple[object, ...]]) -> list[str]:
    """Cells as right-aligned columns of text."""
    cells = [[f"{cell:g}" if isinstance(cell, float) else str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
