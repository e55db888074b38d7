"""Figures and tables from finished runs: the base class, the search for runs, and the files written."""

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
from experiments.report.claims import verdict_words
from experiments.runs.reader import StoredRun, find_runs

CONF = Path(__file__).parents[2] / "conf"
ABOUT = ("paper", "item", "shows")  # keys of a figure's file that are not arguments of its class
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))  # distinguishable without color
CLAIM_ROWS_SHOWN = 8  # cases of a claim listed in the terminal; if there are more, only the failed ones
plt.style.use(Path(__file__).with_name("paper.mplstyle"))


@dataclass(frozen=True)
class Drawing:
    """A figure or table, the data that it shows, and the verdicts on the paper's claims.

    Attributes:
        figure: None for a table.
        table: exactly the data that is shown.
        claims: one verdict per row, with the columns `claims.ROW`. Empty if the paper prints and claims nothing.
        notes: what a reader of the figure must know, one line each.
        texts: for a table, its text by file suffix: "md" and "tex".
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


class Figure(ABC):
    """One figure or table of a paper, drawn from the runs that share a name and a setting.

    Args:
        experiments: the experiments to draw. Each gets its own drawing unless `drawn_as` gives several the same name.
    """

    needs_runs: ClassVar[bool] = True  # False for a figure of formulas, which is drawn once
    also: ClassVar[str] = ""  # overrides that its runs need in addition to the experiment's own
    reads: ClassVar[str] = "run folders as certify.py writes them"  # what the folder given as source= may contain
    made_by: ClassVar[tuple[str, ...]] = ()  # the commands that make its results if no experiment does
    paper = item = shows = ""  # set by `figure_of` from the figure's file

    def __init__(self, experiments: list[str]) -> None:
        self.experiments = experiments

    def folders(self, results: Path) -> list[Path]:
        """The folders of its runs in the results folder."""
        return [results / experiment for experiment in self.experiments]

    def find(self, folder: Path) -> list[StoredRun]:
        """The runs in a folder and its subfolders."""
        return find_runs(folder)

    @abstractmethod
    def usable(self, run: StoredRun) -> bool:
        """Whether this run's results belong in the figure."""

    def drawn_as(self, run: StoredRun) -> str:
        """The name of a run's drawing: that of its experiment. Runs with the same name are drawn together."""
        return named_by_center(run.record["config"]["name"], run)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        """The settings that runs must share to be drawn together: all but the noise."""
        return {key: value for key, value in run.identity.items() if key != "noise"}

    def joined(self, groups: dict[str, list[StoredRun]]) -> dict[str, list[StoredRun]]:
        """The runs of each drawing, from those that share a name and a setting. By default the same.

        Args:
            groups: runs by name and setting: "<name>-<hash of the setting>".
        """
        return groups

    def enough(self, runs: list[StoredRun]) -> bool:
        """Whether runs with the same name and setting suffice for a drawing. By default one run does."""
        return bool(runs)

    @abstractmethod
    def draw(self, runs: list[StoredRun]) -> Drawing:
        """Draw runs that share a `setting`. All are `usable`. There is at least one unless the figure needs none."""


def figure_of(name: str, node: dict[str, Any]) -> Figure:
    """The figure that a file of conf/figure describes. A user's own file may leave out `paper`, `item` and `shows`.

    Raises:
        SettingError: a key is unknown or a value is invalid (`checked_group`).
    """
    own = {key: value for key, value in node.items() if key not in ABOUT}
    figure: Figure = checked_group(f"figure {name}", own).build()
    figure.paper, figure.item, figure.shows = (str(node.get(key) or "") for key in ABOUT)
    return figure


def named_by_center(name: str, run: StoredRun) -> str:
    """The name of a drawing, with the suffix _medoid if the run uses the medoid as center, as the paper does."""
    return f"{name}_medoid" if run.identity["certifier"].get("center") == "medoid" else name


class TheoryFigure(Figure):
    """A figure that needs no runs: it shows formulas, or images under noise."""

    needs_runs = False

    def __init__(self) -> None:
        super().__init__(experiments=[])

    def usable(self, run: StoredRun) -> bool:
        return False


def legend_entries(figure: MatplotlibFigure) -> dict[str, Any]:
    """One legend entry for each label in any panel."""
    return {label: line for axis in figure.axes for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}


def drawings(name: str, figure: Figure, results: Path, source: Path | None, out: Path) -> list[Drawn]:
    """Draw a figure to files, once for each name and setting that has results.

    Args:
        name: name of the figure. The files' names begin with it.
        figure: the figure to draw.
        results: the folder with the results of all experiments.
        source: a folder of runs to draw instead of those in `results`.
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
    drawn = {key: runs for key, runs in figure.joined(settings).items() if figure.enough(runs)}
    names = [key.rpartition("-")[0] for key in drawn]
    written = []
    for key, runs in drawn.items():
        shared = key.rpartition("-")[0]
        stem = f"{name}-{shared if names.count(shared) == 1 else key}"
        written.append(_write(figure, runs, out / stem))
    return written


def _write(figure: Figure, runs: list[StoredRun], stem: Path) -> Drawn:
    """Write PDF and PNG, or a table's texts, with the CSV of the data and of the claims.

    The same data give the same bytes.
    """
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
        path.unlink(missing_ok=True)  # from an earlier drawing
        return
    claims.to_csv(path, index=False)
    for claim, rows in claims.groupby("claim", sort=False):
        print(f"  The paper: {claim}.")
        shown = rows
        if len(rows) > CLAIM_ROWS_SHOWN:
            print(f"    {int(rows['within'].sum())} of {len(rows)} hold")
            shown = rows[~rows["within"].astype(bool)]
        for row in shown.assign(verdict=verdict_words(shown)).itertuples():
            print(
                f"    {row.case}: {row.verdict}; {row.quantity}: {row.ours:.3g} (paper: {row.relation} {row.paper:g})"
            )
