"""Figures from finished runs: what a figure is, where its data is found, and how it is written."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.composition import identity_hash
from experiments.report import Run, find_runs

CONF = Path(__file__).parent.parent / "conf"
plt.style.use(CONF / "paper.mplstyle")


@dataclass(frozen=True)
class Drawing:
    """A drawn figure, the table of exactly what is drawn, and the paper's claims beside ours.

    Attributes:
        claims: columns claim, case, quantity, paper, ours, difference, within; empty where the paper claims nothing.
        notes: what a reader of the figure must know, a line each.
    """

    figure: MatplotlibFigure
    table: pd.DataFrame
    claims: pd.DataFrame
    notes: list[str]


class Figure(ABC):
    """One figure of a paper, drawn from the runs of one experiment at one setting.

    Args:
        experiments: the experiments that it is drawn for, each on its own.
    """

    def __init__(self, experiments: list[str]) -> None:
        self.experiments = experiments

    @abstractmethod
    def usable(self, run: Run) -> bool:
        """Whether this run's results belong in the figure."""

    @abstractmethod
    def draw(self, runs: list[Run]) -> Drawing:
        """Draw runs that differ in nothing but noise; all of them `usable`, at least one."""


def draw_all(name: str, figure: Figure, results: Path, source: Path | None, out: Path) -> list[Path]:
    """Draw a figure for each experiment and setting that has results; returns the PNG files written."""
    folders = [source] if source else [results / experiment for experiment in figure.experiments]
    written = []
    for folder in folders:
        settings: dict[str, list[Run]] = {}
        for run in find_runs(folder):
            if len(run.table) and figure.usable(run):
                same = {key: value for key, value in run.identity.items() if key != "noise"}
                settings.setdefault(f"{run.record['config']['name']}-{identity_hash(same)}", []).append(run)
        names = [key.rpartition("-")[0] for key in settings]
        for key, runs in settings.items():
            experiment = key.rpartition("-")[0]
            stem = f"{name}-{experiment if names.count(experiment) == 1 else key}"
            written.append(_write(figure.draw(runs), out / stem))
    return written


def _write(drawing: Drawing, stem: Path) -> Path:
    """PDF, PNG and the CSV of what is drawn, byte for byte the same for the same data; the claims too, and in words."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    drawing.figure.savefig(f"{stem}.pdf", metadata={"CreationDate": None})
    drawing.figure.savefig(f"{stem}.png", metadata={"Software": None})
    plt.close(drawing.figure)
    drawing.table.to_csv(f"{stem}.csv", index=False)
    print(f"\n{stem}.png, .pdf, .csv")
    for note in drawing.notes:
        print(f"  {note}")
    if len(drawing.claims):
        drawing.claims.to_csv(f"{stem}.claims.csv", index=False)
        for claim, rows in drawing.claims.groupby("claim", sort=False):
            print(f"  The paper: {claim}.")
            for row in rows.itertuples():
                verdict = "holds" if row.within else "does not hold"
                print(
                    f"    {row.case}: {verdict}; {row.quantity}: {row.ours:.3g} (paper: {row.relation} {row.paper:g})"
                )
    return Path(f"{stem}.png")
