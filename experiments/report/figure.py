"""Figures and tables from finished runs: the base class, and the search for the runs of each drawing."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt

from experiments.config.check import checked_group
from experiments.config.identity import identity_hash
from experiments.config.targets import located
from experiments.report.costs import told_apart
from experiments.report.drawing import Drawing, Drawn, require_drawing, with_notes, write
from experiments.report.layout import add_to_head
from experiments.report.left_out import NO_ROWS, LeftOut, apart, explanation
from experiments.report.sources import Source
from experiments.runs.reader import StoredRun, find_runs
from smoothing import SettingError

CONF = Path(__file__).parents[2] / "conf"
ABOUT = ("paper", "item", "shows")  # keys of a figure's file that are not arguments of its class
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))  # distinguishable without color
plt.style.use(Path(__file__).with_name("paper.mplstyle"))


class Figure(ABC):
    """One figure or table of a paper, drawn from the runs that share a name and a setting.

    Args:
        experiments: the experiments to draw. Each gets its own drawing unless `drawn_as` gives several the same name.
    """

    needs_runs: ClassVar[bool] = True  # False for a figure of formulas, which is drawn once
    compares: ClassVar[bool] = False  # True: draws the folders of source=, under their labels, and nothing without them
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
    def why_not(self, run: StoredRun) -> str:
        """Why this run's results do not belong in the figure, and what does show them. Empty if they do.

        Runs with the same reason are counted together, so it does not contain numbers of the run. It has rows.
        """

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

    def why_not_drawn(self, runs: list[StoredRun]) -> str:
        """Why runs with the same name and setting do not suffice for a drawing. Empty if they do, as one does here."""
        return ""

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        """The runs of a drawing that it does not show, by reason. By default it shows all."""
        return {}

    @abstractmethod
    def draw(self, runs: list[StoredRun]) -> Drawing:
        """Draw runs that share a `setting`. All are usable. There is at least one unless the figure needs none."""


def figure_of(name: str, node: dict[str, Any]) -> Figure:
    """The figure that a file of conf/figure describes. A user's own file may leave out `paper`, `item` and `shows`.

    Raises:
        SettingError: the class is no Figure, a key is unknown or a value is invalid (`checked_group`).
    """
    own = {key: value for key, value in node.items() if key not in ABOUT}
    target = own.get("_target_")
    kind = located(target, f"figure {name}") if isinstance(target, str) else Figure
    if not (isinstance(kind, type) and issubclass(kind, Figure)):
        raise SettingError(f"figure {name}._target_: expected a class derived from Figure, got {target}")
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

    def why_not(self, run: StoredRun) -> str:
        return "the figure needs no runs"


@dataclass(frozen=True)
class Selection:
    """The runs of a figure, before they are drawn.

    Attributes:
        figure: the figure.
        drawn: the runs of each drawing, by the name of its files.
        left_out: the runs that no drawing shows.
        found: number of runs found.
    """

    figure: Figure
    drawn: dict[str, list[StoredRun]]
    left_out: list[LeftOut]
    found: int

    def draw(self, out: Path) -> list[Drawn]:
        """Draw and write all drawings to files in a folder. Raises SettingError if the figure returns no `Drawing`."""
        remarks = Path(inspect.getfile(type(self.figure))).with_name("remarks.csv")
        source = f"{type(self.figure).__name__}.draw"
        drawn = []
        for name, runs in self.drawn.items():
            drawing, telling = require_drawing(self.figure.draw(runs), source), self._apart(name)
            if drawing.figure and telling:
                add_to_head(drawing.figure, telling)
            drawn.append(write(with_notes(drawing, telling, runs), runs, out / name, remarks))
        return drawn

    def _apart(self, name: str) -> str:
        """What tells a drawing apart from others of its experiment. Empty if there is one."""
        if not self.figure.needs_runs:
            return ""
        own = self.figure.drawn_as(self.drawn[name][0])
        together = {each: some for each, some in self.drawn.items() if self.figure.drawn_as(some[0]) == own}
        return told_apart(together)[name]

    def explanation(self) -> list[str]:
        """Why runs are not shown, and which sources share no drawing, in lines."""
        lines = apart(self.drawn) if self.figure.compares else []
        return [*lines, *explanation(self.left_out, self.found, elsewhere=not self.figure.compares)]


def selection(name: str, figure: Figure, results: Path, sources: Sequence[Source]) -> Selection:
    """The runs of a figure: one drawing for each name and setting.

    Args:
        name: name of the figure. The files' names begin with it.
        figure: the figure.
        results: the folder with the results of all experiments.
        sources: folders of runs to draw instead of those in `results`.
    """
    if not figure.needs_runs:
        return Selection(figure, {name: []}, [], 0)
    runs = _found(figure, results, sources)
    groups: dict[str, list[StoredRun]] = {}
    left_out = []
    for run in runs:
        if why := figure.why_not(run) if len(run.table) else NO_ROWS:
            left_out.append(LeftOut(run, why))
        else:
            key = f"{figure.drawn_as(run)}-{identity_hash(figure.setting(run))}"
            groups.setdefault(key, []).append(run)
    drawn, shown = {}, set[int]()
    for key, some in figure.joined(groups).items():
        why = figure.why_not_drawn(some)
        not_shown = {why: some} if why else figure.left_out(some)
        left_out += [LeftOut(run, reason) for reason, of in not_shown.items() for run in of]
        shown |= {id(run) for run in some} - {id(run) for of in not_shown.values() for run in of}
        if not why:
            drawn[key] = some
    names = [key.rpartition("-")[0] for key in drawn]
    stems = {key: one if names.count(one) == 1 else key for key, one in zip(drawn, names, strict=True)}
    by_stem = {f"{name}-{stems[key]}": some for key, some in drawn.items()}
    return Selection(figure, by_stem, [one for one in left_out if id(one.run) not in shown], len(runs))


def drawings(name: str, figure: Figure, results: Path, sources: Sequence[Source] | None, out: Path) -> list[Drawn]:
    """Select the runs of a figure and draw them to files in the folder `out`; see `selection`."""
    return selection(name, figure, results, sources or ()).draw(out)


def require_its_sources(name: str, figure: Figure, sources: Sequence[Source], labels: Any) -> None:
    """Raises SettingError if a figure that compares has no sources, or labels are typed for another figure."""
    if figure.compares and not sources:
        raise SettingError(
            f"figure={name}: expected the runs to compare, such as source='[results/a, results/b/<run>]'"
        )
    if labels is not None and not figure.compares:
        raise SettingError(f"labels: figure={name} has labels of its own; figure=compare and figure=table take yours")


def _found(figure: Figure, results: Path, sources: Sequence[Source]) -> list[StoredRun]:
    """The runs in a figure's folders, or in the sources, each with its source's label. Each folder occurs once."""
    if not sources:
        return [run for folder in figure.folders(results) for run in figure.find(folder)]
    runs = [replace(run, label=source.label) for source in sources for run in figure.find(source.folder)]
    if figure.compares:
        return runs  # a run in two sources is in both series
    return list({run.folder.resolve(): run for run in runs}.values())
