"""Figures and tables from finished runs: what one is, where its data is found, and how it is written."""

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.config.check import checked_group
from experiments.config.identity import identity_hash
from experiments.runs.reader import StoredRun, find_runs

CONF = Path(__file__).parents[2] / "conf"
ABOUT = ("paper", "item", "shows")  # keys of a figure's file that are not its class's
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))  # told apart without color
CLAIM_ROWS_SHOWN = 8  # of one claim on the terminal; of more, those that do not hold
plt.style.use(Path(__file__).with_name("paper.mplstyle"))


@dataclass(frozen=True)
class Drawing:
    """A drawn figure or a table, the data frame of exactly what is shown, and the paper's claims beside ours.

    Attributes:
        figure: None for a table.
        claims: rows of `claims.ROW`, a verdict each; empty where the paper prints and claims nothing.
        notes: what a reader of the figure must know, a line each.
        texts: for a table, the table as text by file suffix: "md" and "tex".
        partial: why checks that hold reproduce nothing yet, such as too few runs; empty where they do.
    """

    figure: MatplotlibFigure | None
    table: pd.DataFrame
    claims: pd.DataFrame
    notes: list[str]
    texts: dict[str, str] = field(default_factory=dict)
    partial: str = ""


@dataclass(frozen=True)
class Drawn:
    """A drawing in its files.

    Attributes:
        stem: the files' path without their suffixes.
        drawing: what is in them.
        runs: that it is of; empty where it needs none.
        remarks: remarks.csv beside the figure's class, on checks that do not hold: why, where that is known.
    """

    stem: Path
    drawing: Drawing
    runs: list[StoredRun]
    remarks: Path | None = None

    @property
    def path(self) -> Path:
        """The PNG, of a table the Markdown."""
        return Path(f"{self.stem}.{'png' if self.drawing.figure else next(iter(self.drawing.texts))}")


class Figure(ABC):
    """One figure or table of a paper, drawn from the runs that share a name and a setting.

    Args:
        experiments: the experiments that it is drawn for, each on its own unless `drawn_as` puts some together.
    """

    needs_runs: ClassVar[bool] = True  # False: a figure of formulas, drawn once, from no runs
    also: ClassVar[str] = ""  # what its runs need on the command line, beside what their experiment's file opens with
    reads: ClassVar[str] = "run folders as certify.py writes them"  # what a folder named by source= may hold
    made_by: ClassVar[tuple[str, ...]] = ()  # the commands that make its results, where no experiment does
    paper = item = shows = ""  # which item of which paper it is, and what it shows; see `figure_of`

    def __init__(self, experiments: list[str]) -> None:
        self.experiments = experiments

    def folders(self, results: Path) -> list[Path]:
        """Where its runs are, below the folder of all results."""
        return [results / experiment for experiment in self.experiments]

    def find(self, folder: Path) -> list[StoredRun]:
        """The runs below a folder."""
        return find_runs(folder)

    @abstractmethod
    def usable(self, run: StoredRun) -> bool:
        """Whether this run's results belong in the figure."""

    def drawn_as(self, run: StoredRun) -> str:
        """The name that runs drawn together share and that their drawing bears: that of their experiment."""
        return named_by_center(run.record["config"]["name"], run)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        """What runs must have in common to be drawn together: all but the noise."""
        return {key: value for key, value in run.identity.items() if key != "noise"}

    def enough(self, runs: list[StoredRun]) -> bool:
        """Whether runs that share a name and a setting are enough to draw: any are, unless a figure compares some."""
        return bool(runs)

    @abstractmethod
    def draw(self, runs: list[StoredRun]) -> Drawing:
        """Draw runs of one `setting`; all of them `usable`, at least one unless the figure needs none."""


def figure_of(name: str, node: dict[str, Any]) -> Figure:
    """The figure that a file of conf/figure describes. A user's own file may leave out `paper`, `item` and `shows`.

    Raises:
        SettingError: as `checked_group`.
    """
    own = {key: value for key, value in node.items() if key not in ABOUT}
    figure: Figure = checked_group(f"figure {name}", own).build()
    figure.paper, figure.item, figure.shows = (str(node.get(key) or "") for key in ABOUT)
    return figure


def named_by_center(name: str, run: StoredRun) -> str:
    """The name of a drawing, with the center where a run of center smoothing takes the paper's, the medoid."""
    return f"{name}_medoid" if run.identity["certifier"].get("center") == "medoid" else name


class TheoryFigure(Figure):
    """A figure of formulas, or of images and noise alone."""

    needs_runs = False

    def __init__(self) -> None:
        super().__init__(experiments=[])

    def usable(self, run: StoredRun) -> bool:
        return False


def legend_entries(figure: MatplotlibFigure) -> dict[str, Any]:
    """A line for each label that any of its panels has."""
    return {label: line for axis in figure.axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}


def drawings(name: str, figure: Figure, results: Path, source: Path | None, out: Path) -> list[Drawn]:
    """Draw a figure, into files, for each name and setting that has results.

    Args:
        name: of the figure, with which the files' names begin.
        figure: to draw.
        results: the folder of the experiments' results.
        source: a folder of runs to draw instead of the figure's experiments' under `results`.
        out: the folder to write to.
    """
    if not figure.needs_runs:
        return [_write(figure, [], out / name)]
    folders = [source] if source else figure.folders(results)
    settings: dict[str, list[StoredRun]] = {}
    for run in (run for folder in folders for run in figure.find(folder)):
        if len(run.table) and figure.usable(run):
            key = f"{figure.drawn_as(run)}-{identity_hash(figure.setting(run))}"
            settings.setdefault(key, []).append(run)
    drawn = {key: runs for key, runs in settings.items() if figure.enough(runs)}
    names = [key.rpartition("-")[0] for key in drawn]
    written = []
    for key, runs in drawn.items():
        shared = key.rpartition("-")[0]
        stem = f"{name}-{shared if names.count(shared) == 1 else key}"
        written.append(_write(figure, runs, out / stem))
    return written


def _write(figure: Figure, runs: list[StoredRun], stem: Path) -> Drawn:
    """PDF and PNG or the texts, and the CSV of what is shown, byte for byte the same for the same data; the claims."""
    drawing = figure.draw(runs)
    stem.parent.mkdir(parents=True, exist_ok=True)
    if drawing.figure:
        drawing.figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None})
        drawing.figure.savefig(f"{stem}.png", metadata={"Software": None})
        plt.close(drawing.figure)
    for suffix, text in drawing.texts.items():
        Path(f"{stem}.{suffix}").write_text(text)
    drawing.table.to_csv(f"{stem}.csv", index=False)
    suffixes = ["png", "pdf"] if drawing.figure else list(drawing.texts)
    print(f"\n{', '.join([f'{stem}.{suffixes[0]}', *(f'.{suffix}' for suffix in suffixes[1:]), '.csv'])}")
    for note in drawing.notes:
        print(f"  {note}")
    if "md" in drawing.texts:
        print("\n" + drawing.texts["md"].rstrip())
    _write_claims(drawing.claims, stem)
    return Drawn(stem, drawing, runs, Path(inspect.getfile(type(figure))).with_name("remarks.csv"))


def _write_claims(claims: pd.DataFrame, stem: Path) -> None:
    path = Path(f"{stem}.claims.csv")
    if claims.empty:
        path.unlink(missing_ok=True)  # those of an earlier drawing
        return
    claims.to_csv(path, index=False)
    for claim, rows in claims.groupby("claim", sort=False):
        print(f"  The paper: {claim}.")
        shown = rows
        if len(rows) > CLAIM_ROWS_SHOWN:
            print(f"    {int(rows['within'].sum())} of {len(rows)} hold")
            shown = rows[~rows["within"].astype(bool)]
        for row in shown.itertuples():
            verdict = "holds" if row.within else "does not hold"
            print(f"    {row.case}: {verdict}; {row.quantity}: {row.ours:.3g} (paper: {row.relation} {row.paper:g})")
