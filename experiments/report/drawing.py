"""A finished figure or table, and the files that it is written to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.report.claims import ROW, verdict_words
from experiments.runs.reader import StoredRun, unfinished
from experiments.runs.wandb import WandbLogger
from smoothing import SettingError

CLAIM_ROWS_SHOWN = 8  # cases of a claim listed in the terminal; if there are more, only the failed ones


@dataclass(frozen=True)
class Drawing:
    """A figure or table, the data that it shows, and the verdicts on the paper's claims.

    Attributes:
        figure: None for a table.
        table: exactly the data that is shown.
        claims: one verdict per row, with the columns `claims.ROW`. Empty if the paper prints and claims nothing.
        notes: what a reader of the figure must know, one line each.
        texts: for a table, its text by file suffix: "md" and "tex". For a comparison also "tests.csv".
        partial: why the drawing reproduces nothing even if all checks hold, such as too few runs. Else empty.
    """

    figure: MatplotlibFigure | None
    table: pd.DataFrame
    claims: pd.DataFrame
    notes: list[str]
    texts: dict[str, str] = field(default_factory=dict)
    partial: str = ""


@dataclass(frozen=True)
class Drawn:
    """A drawing that was written to files.

    Attributes:
        stem: path of the files without suffix.
        drawing: their content.
        runs: the runs that it shows. Empty if it needs none.
        remarks: the remarks.csv in the folder of the figure's class. It explains failed checks where known.
    """

    stem: Path
    drawing: Drawing
    runs: list[StoredRun]
    remarks: Path | None = None

    @property
    def path(self) -> Path:
        """The PNG of a figure, or the Markdown of a table."""
        return Path(f"{self.stem}.{'png' if self.drawing.figure else next(iter(self.drawing.texts))}")


def require_drawing(found: object, source: str) -> Drawing:
    """What a figure returned, if it is a whole `Drawing`.

    Args:
        found: what it returned.
        source: its name, for messages.

    Raises:
        SettingError: it is no Drawing, or a field is of another type, or a table has no text.
    """
    if not isinstance(found, Drawing):
        raise SettingError(f"figure: {source}: expected a Drawing, got {type(found).__name__}")
    lines, texts = found.notes, found.texts
    listed = isinstance(lines, list | tuple) and all(isinstance(line, str) for line in lines)
    by_suffix = isinstance(texts, dict) and all(isinstance(text, str) for pair in texts.items() for text in pair)
    verdicts = isinstance(found.claims, pd.DataFrame) and (found.claims.empty or set(ROW) <= set(found.claims))
    for name, whole, expected in (
        ("figure", isinstance(found.figure, MatplotlibFigure | None), "a Figure of matplotlib, or None for a table"),
        ("table", isinstance(found.table, pd.DataFrame), "a DataFrame"),
        ("claims", verdicts, f"an empty DataFrame, or one with the columns {', '.join(ROW)}"),
        ("notes", listed, "a list of texts"),
        ("texts", by_suffix, "texts by file suffix"),
        ("texts", found.figure or texts, 'the text of a table, such as {"md": ...}, where there is no figure'),
        ("partial", isinstance(found.partial, str), "a text"),
    ):
        if not whole:
            got = type(getattr(found, name)).__name__
            raise SettingError(f"figure: {source}: {name} of the Drawing: expected {expected}, got {got}")
    return found


def with_notes(drawing: Drawing, apart: str, runs: Sequence[StoredRun]) -> Drawing:
    """The drawing with more notes first: what tells it apart from others, if anything does, and its unfinished runs."""
    first = [f"With {apart}."] if apart else []
    return replace(drawing, notes=[*first, *filter(None, map(unfinished, runs)), *drawing.notes])


def write(drawing: Drawing, runs: Sequence[StoredRun], stem: Path, remarks: Path) -> Drawn:
    """Write PDF, PNG and SVG, and a table's texts, with the CSV of the data and of the claims.

    The same data give the same bytes.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    if drawing.figure:
        drawing.figure.draw_without_rendering()
        drawing.figure.set_layout_engine("none")  # all three files have the layout that this has found
        drawing.figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None})
        drawing.figure.savefig(f"{stem}.png", metadata={"Software": None})
        drawing.figure.savefig(f"{stem}.svg", metadata={"Date": None})
        plt.close(drawing.figure)
    for suffix in {"md", "tex", "tests.csv"} - set(drawing.texts):
        Path(f"{stem}.{suffix}").unlink(missing_ok=True)  # from an earlier drawing
    for suffix, text in drawing.texts.items():
        Path(f"{stem}.{suffix}").write_text(text)
    drawing.table.to_csv(f"{stem}.csv", index=False)
    suffixes = [*(["png", "pdf", "svg"] if drawing.figure else []), *drawing.texts]
    print(f"\n{', '.join([f'{stem}.{suffixes[0]}', *(f'.{suffix}' for suffix in suffixes[1:]), '.csv'])}")
    for note in drawing.notes:
        print(f"  {note}")
    if "md" in drawing.texts:
        print("\n" + drawing.texts["md"].rstrip())
    _write_claims(drawing.claims, stem)
    return Drawn(stem, drawing, list(runs), remarks)


def log(drawn: Iterable[Drawn], logger: WandbLogger) -> None:
    """Send drawings to a logger: each figure as an image, and its data as a table."""
    for one in drawn:
        if one.drawing.figure:
            logger.figure(one.stem.name, one.path)
        logger.table(f"{one.stem.name} table", one.drawing.table)
    logger.finish()


def _write_claims(claims: pd.DataFrame, stem: Path) -> None:
    path = Path(f"{stem}.claims.csv")
    if claims.empty:
        path.unlink(missing_ok=True)  # from an earlier drawing
        return
    claims.to_csv(path, index=False)
    for claim, rows in claims.groupby("claim", sort=False):
        print(f"  {'We claim' if (rows['kind'] == 'ours').all() else 'The paper'}: {claim}.")
        shown = rows
        if len(rows) > CLAIM_ROWS_SHOWN:
            print(f"    {int(rows['within'].sum())} of {len(rows)} hold")
            shown = rows[~rows["within"].astype(bool)]
        for row in shown.assign(verdict=verdict_words(shown)).itertuples():
            print(
                f"    {row.case}: {row.verdict}; {row.quantity}: {row.ours:.3g} (paper: {row.relation} {row.paper:g})"
            )
