"""Any runs as a table for a paper, in LaTeX (booktabs), Markdown and CSV."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.yours.compared import CLASSES, OPTIMISTIC, ComparedRuns, Radii, kind_of
from experiments.papers.yours.differences import other_inputs
from experiments.papers.yours.run_settings import trained_elsewhere
from experiments.papers.yours.series import Series, by_source, joined, series_of, unfinished_text
from experiments.papers.yours.titles import (
    data_text,
    metric_text,
    radius_title,
    space_notes,
    space_of,
)
from experiments.papers.yours.values import accuracy_at, clean_accuracy, largest_radius, medians_of, round_radii
from experiments.report.certified_accuracy import average_radius, rows_of
from experiments.report.figure import Drawing
from experiments.report.symbols import IN, OUT, SIGMA
from experiments.report.text_table import latex, markdown
from experiments.report.titles import examples_text
from experiments.runs.reader import StoredRun

RADII = 5  # columns of radii, if they are not given
UNKNOWN = "-: the files have no class where the certificate abstains"
NORMAL = 1.96  # standard errors of a 95 % interval
Row = dict[str, Any]
Parts = tuple[list[Row], list[str], list[list[str]], tuple[str, str]]  # rows, header and cells, words of the caption
WORDS = {SIGMA: "sigma", IN: "eps_in", OUT: "eps_out", r"$\ell_1$": "l1", r"$\ell_2$": "l2", r"$\ell_\infty$": "linf"}
SETTINGS = {"sigma": SIGMA, "n": "$n$", "m": "$m$"}  # column and title
COLUMNS = SETTINGS | {"examples": "examples"}  # those of rows that differ
HALF_WIDTH = re.compile(r"\$_\{\\pm([\d.]+)\}\$")
INTERVAL = re.compile(r"\$_\{(\[[\d., ]+\])\}\$")
DIFFERENT = "No number is bold, because the rows have different test examples"
COMPACT = (r"\footnotesize", r"\setlength{\tabcolsep}{3pt}")  # so that it fits the width of most pages


class ComparisonTable(ComparedRuns):
    """Certified accuracy in percent at radii with ACR, clean accuracy and abstentions; or medians of outputs.

    One row for each run, or for each source (`envelope`). After each +- is half of a 95 % interval over the test
    examples: of Clopper and Pearson for shares, of the mean for the ACR. A share so near to 0 or 100 that it is not in
    the middle of its interval has the interval itself. The best of a column is bold, if no row lacks a value and all
    have the same test examples. Settings that all rows share are in the caption.

    Args:
        radii: see `ComparedRuns`.
        envelope: see `ComparedRuns`.
        half_widths: whether cells have the half-widths or intervals, which the CSV always has.

    Raises:
        SettingError: a radius is negative.
    """

    def __init__(self, radii: Radii = None, envelope: bool = False, half_widths: bool = True) -> None:
        super().__init__(radii, envelope)
        self.half_widths = half_widths

    def draw(self, runs: list[StoredRun]) -> Drawing:
        series = series_of(runs, envelope=self.envelope)
        parts = self._accuracies(series) if kind_of(runs[0]) == CLASSES else self._medians(series)
        rows, header, lines, about = parts
        own, shared = _settings(rows)
        header = ["method", *(COLUMNS[name] for name in own), *header]
        lines = [
            [row["method"], *(_setting(row, name) for name in own), *line]
            for row, line in zip(rows, lines, strict=True)
        ]
        caption = (
            f"{joined(about[0], *(f'{SETTINGS[name]} = {_setting(rows[0], name)}' for name in shared))}. {about[1]}"
        )
        if self.envelope:
            caption += f". Best of the runs of each source; ACR: of a single run. The {OPTIMISTIC.removeprefix('the ')}"
        different = "" if _same_examples(series) else DIFFERENT
        caption = ". ".join(filter(None, (caption, different, unfinished_text(series))))
        plain = [_plain(cell) for cell in header], [[_plain(cell) for cell in line] for line in lines]
        texts = {
            "md": f"{_plain(caption)}.\n\n{markdown(*plain)}",
            "tex": latex(header, lines, f"{caption}.", "l" + "r" * (len(header) - 1), COMPACT),
        }
        notes = [*space_notes(runs), *(trained_elsewhere(by_source(runs)) if self.envelope else [])]
        return Drawing(None, pd.DataFrame(rows), pd.DataFrame(), notes, texts)

    def _accuracies(self, series: list[Series]) -> Parts:
        radii = self.radii or round_radii(largest_radius(series), RADII)
        rows = [_class_row(one, radii) for one in series]
        names = [_at(r) for r in radii]
        best: dict[str, float | None] = dict.fromkeys(("clean (%)", "ACR", *names))
        if _same_examples(series):
            best = {name: float(np.max([row[name] for row in rows])) for name in best}  # or NaN
        lines = []
        for row in rows:
            cells = [_cell(row["clean (%)"], best["clean (%)"]), _cell(row["abstained (%)"])]
            spread = _spread_of_mean(row) if self.half_widths else ""
            cells.append(_cell(row["ACR"], best["ACR"], spread, digits=3))
            for name in names:
                cells.append(_cell(row[name], best[name], _spread(row, name) if self.half_widths else ""))
            lines.append(cells)
        run = series[0].run
        about = (
            f"Certified accuracy in percent at {radius_title(space_of(run))} $r$, {data_text(run)}, {_examples(rows)}"
        )
        explained = "ACR: average certified radius. Clean: accuracy of the smoothed classifier, certified or not"
        if not self.envelope and any(np.isnan(row["clean (%)"]) for row in rows):
            explained += f" ({UNKNOWN})"
        if self.half_widths:
            explained += ". +-: half of the 95 % interval over test examples"
            explained += "; in brackets: the interval, near 0 and 100" * any(
                "$_{[" in cell for c in lines for cell in c
            )
        return rows, ["clean", "abstained", "ACR", *(f"$r$ = {r:g}" for r in radii)], lines, (about, explained)

    def _medians(self, series: list[Series]) -> Parts:
        rows = [row for one in series for row in _output_rows(one)]
        smallest: dict[str, float] = {}
        for row in rows:
            eps = f"{row['eps_in']:.3g}"
            smallest[eps] = min(row["eps_out"], smallest.get(eps, np.inf))
        bold = _same_examples(series)
        lines = []
        for row in rows:
            eps = f"{row['eps_in']:.3g}"
            cells = [
                eps,
                _number(row["eps_out"], smallest[eps] if bold else None),
                f"[{_number(row['low'])}, {_number(row['high'])}]",
            ]
            shares = [f"{row[name]:.1f}" for name in ("abstained (%)", "infinite (%)")]
            lines.append([*cells, _number(row["smoothing_error"]), *shares])
        run = series[0].run
        distance = joined(metric_text(run), data_text(run), _examples(rows))
        about = f"Median certified {OUT} and smoothing error at input radii {IN}: {distance}"
        explained = (
            "In brackets: 95 % interval of the median. Abstained: share of the examples in percent. Infinite: those "
            "that abstained, failed or are above the largest distance"
        )
        header = [IN, f"median {OUT}", "interval", "smoothing error", "abstained", "infinite"]
        return rows, header, lines, (about, explained)


def _class_row(one: Series, radii: Sequence[float]) -> Row:
    """The numbers of a series. Of an envelope: the best at each radius, and the largest ACR of a single run."""
    by_acr = max(one.runs, key=lambda run: average_radius(*rows_of(run)))
    correct, radius = rows_of(by_acr)
    held = np.where(correct, radius, 0.0)
    known = len(one.runs) == 1
    row: Row = _about(one) | {
        "clean (%)": 100 * clean_accuracy(by_acr) if known else np.nan,
        "abstained (%)": 100 * float((by_acr.table["status"] == "abstained").mean()) if known else np.nan,
        "ACR": float(held.mean()),
        "ACR half-width": _half_width(held),
    }
    for at in accuracy_at(one, radii).itertuples():
        name = _at(at.radius)
        row |= {name: 100 * at.accuracy, _half(name): 50 * (at.high - at.low)}
        row |= {_limit(name, "low"): 100 * at.low, _limit(name, "high"): 100 * at.high}
        if not known:
            row[f"r = {at.radius:g} sigma"] = at.sigma
    return row


def _output_rows(one: Series) -> list[Row]:
    """A row for each eps_in."""
    rows = []
    for at in medians_of(one).to_dict("records"):
        shares = {f"{name} (%)": 100 * at[name] for name in ("abstained", "infinite")}
        numbers = {name: at.get(name, np.nan) for name in ("eps_in", "eps_out", "low", "high", "smoothing_error")}
        sigma = None if pd.isna(at["sigma"]) else at["sigma"]
        rows.append(_about(one) | {"sigma": sigma, "examples": at["examples"]} | numbers | shares)
    return rows


def _about(one: Series) -> Row:
    """Method, source and settings of a series. Settings in which the runs of an envelope differ are None."""
    settings = {}
    for name in ("n", "m"):
        values = {run.identity["certifier"].get(name) for run in one.runs}
        settings[name] = values.pop() if len(values) == 1 else None
    examples = max(run.table["index"].nunique() for run in one.runs)
    return {"method": one.name, "source": one.source, "sigma": one.sigma, **settings, "examples": examples}


def _half_width(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """Half of the interval of a mean. NaN if the values do not show it, as equal ones do not."""
    if len(values) < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    return float(NORMAL * np.std(values, ddof=1) / np.sqrt(len(values)))


def _at(radius: float) -> str:
    return f"r = {radius:g} (%)"


def _half(name: str) -> str:
    """The column with the half-width of another column."""
    return _limit(name, "half-width")


def _limit(name: str, word: str) -> str:
    """The column with a limit of the interval of another column, or with its half-width."""
    return f"{name.removesuffix(' (%)')} {word}{' (%)' * name.endswith(' (%)')}"


def _spread(row: Row, name: str) -> str:
    """What a cell says about the interval of a share: half of its width, or both limits if it is not in the middle."""
    half = row[_half(name)]
    if half <= row[name] <= 100 - half:
        return rf"$_{{\pm{half:.1f}}}$"
    return f"$_{{[{row[_limit(name, 'low')]:.1f}, {row[_limit(name, 'high')]:.1f}]}}$"


def _spread_of_mean(row: Row) -> str:
    half = row["ACR half-width"]
    return "" if np.isnan(half) else rf"$_{{\pm{half:.3f}}}$"


def _same_examples(series: Sequence[Series]) -> bool:
    """Whether all runs have the same test examples, by index and by what is in them."""
    runs = [run for one in series for run in one.runs]
    return len({frozenset(run.table["index"]) for run in runs}) == 1 and not other_inputs(runs)


def _settings(rows: list[Row]) -> tuple[list[str], list[str]]:
    """The settings in which rows differ, and those that they share. A setting that no row has is left out."""
    values = {name: {row[name] for row in rows} for name in COLUMNS}
    shared = [name for name in SETTINGS if len(values[name]) == 1 and values[name] != {None}]
    return [name for name, found in values.items() if len(found) > 1], shared


def _setting(row: Row, name: str) -> str:
    if row[name] is None:
        return ""
    return f"{row[name]:g}" if name == "sigma" else f"{row[name]:,}"


def _cell(value: float, best: float | None = None, spread: str = "", digits: int = 1) -> str:
    """A number and its interval. Bold if it is the best as it is printed."""
    if np.isnan(value):
        return "-"
    text = _digits(value, digits)
    if best is not None and text == _digits(best, digits) != _digits(0.0, digits):
        text = f"**{text}**"
    return text + spread


def _digits(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else r"$\infty$"


def _number(value: float, best: float | None = None) -> str:
    """A median. Infinite ones have no certificate."""
    if np.isnan(value):
        return "-"
    text = f"{value:.3g}" if np.isfinite(value) else r"$\infty$"
    return f"**{text}**" if best is not None and np.isfinite(value) and text == f"{best:.3g}" else text


def _examples(rows: list[Row]) -> str:
    return examples_text([row["examples"] for row in rows])


def _plain(text: str) -> str:
    """A text without our formulas, for the terminal and Markdown."""
    text = INTERVAL.sub(r" \1", HALF_WIDTH.sub(r" +- \1", text))
    for formula, word in (*WORDS.items(), (r"$\infty$", "inf"), ("$r$", "r"), ("$n$", "n"), ("$m$", "m")):
        text = text.replace(formula, word)
    return text
