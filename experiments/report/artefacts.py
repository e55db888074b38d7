"""Every figure and table of the papers as one thing to report on: what it is, what became of it, what it would take.

conf/figure holds one file an artefact. Its keys say which item of which paper it is and what it shows. What became of
it is computed, from the verdicts on the papers' numbers and claims; nobody types it.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pandas as pd

from experiments.config.experiment import experiment
from experiments.report.figure import Drawn, Figure

NUMBER = re.compile(r"(table|fig)s?\.? (\d+)(.*)")
OWN_DATA = ("CelebA", "MNIST", "CIFAR10", "ImageNet", "Latents", "cifar10", "imagenet")  # others stand in for these
FOLDERS = ("Classes", "ImageFolder")  # of a user's images
VERDICT_HEADER = ["what", "paper", "ours", "difference", "tolerance", "verdict"]
RELATIONS = {"below": "< ", "at most": "≤ ", "about": ""}


class Status(StrEnum):
    """What became of an artefact, from the best to what is missing."""

    REPRODUCED = "reproduced"
    TREND = "trend reproduced"
    DRAWN = "drawn"
    DIFFERS = "differs"
    MISSING = "not run here"


@dataclass(frozen=True)
class Lacking:
    """An experiment of a figure that there are no results of.

    Attributes:
        experiment: its name.
        commands: that would make the results, in the order in which they run.
        needs: data, weights and hardware that they take; empty where nothing but the package.
    """

    experiment: str
    commands: list[str]
    needs: str


@dataclass(frozen=True)
class Artefact:
    """A figure or table.

    Attributes:
        name: its figure's id.
        paper: that it is of, as "Cohen et al."
        item: which of the paper, as "fig. 6"; may be empty.
        shows: in a few words.
        drawn: the drawings of it.
        made_by: the commands that made the results in them.
        lacking: the experiments that there are no results of.
    """

    name: str
    paper: str
    item: str
    shows: str
    drawn: list[Drawn]
    made_by: list[str]
    lacking: list[Lacking]

    @property
    def title(self) -> str:
        """As "Cohen et al., fig. 6"."""
        return f"{self.paper}, {self.item}" if self.item else self.paper

    @property
    def command(self) -> str:
        return f"python plot.py figure={self.name}"

    @cached_property
    def status(self) -> Status:
        """That of the drawings: differs if one does. Experiments that were not run are listed separately."""
        found = {status_of(drawn) for drawn in self.drawn}
        for status in (Status.DIFFERS, Status.TREND, Status.REPRODUCED, Status.DRAWN):
            if status in found:
                return status
        return Status.MISSING

    @property
    def why(self) -> str:
        """What the status rests on."""
        if not self.drawn:
            return "no results of " + (", ".join(lacking.experiment for lacking in self.lacking) or self.name)
        said = [reason_of(drawn) for drawn in self.drawn]
        return said[0] if len(set(said)) == 1 else f"{len(said)} drawings, each judged below"


def stand_ins(drawn: Drawn) -> list[str]:
    """The data sets of a drawing that are not the papers' own: their class, or the experiment that names a folder."""
    types = {(run.identity["dataset"]["type"], run.record["config"]["name"]) for run in drawn.runs}
    return sorted({f"the images of {name}" if kind in FOLDERS else kind for kind, name in types} - set(OWN_DATA))


def status_of(drawn: Drawn) -> Status:
    """Reproduced where all verdicts hold on the papers' own data, a printed number among them if runs are needed.

    A trend is reproduced where all hold, but on other data, or orderings alone. Checks that no paper makes, of kind
    "ours", make a drawing none of its reproductions.
    """
    claims = drawn.drawing.claims
    if claims.empty:
        return Status.DRAWN
    if not claims["within"].astype(bool).all():
        return Status.DIFFERS
    if drawn.drawing.partial or (claims["kind"] == "ours").all():
        return Status.DRAWN
    own = not stand_ins(drawn) and (not drawn.runs or bool((claims["kind"] == "number").any()))
    return Status.REPRODUCED if own else Status.TREND


def reason_of(drawn: Drawn) -> str:
    """What `status_of` rests on."""
    claims, others = drawn.drawing.claims, stand_ins(drawn)
    on = f", on {' and '.join(others)} in place of the paper's data" if others else ""
    if claims.empty:
        return f"the paper prints nothing that these results can be held against{on}"
    failing = int((~claims["within"].astype(bool)).sum())
    if failing:
        return f"{failing} of {len(claims)} checks fail{on}"
    if drawn.drawing.partial:
        return f"all {len(claims)} checks hold, but {drawn.drawing.partial}{on}"
    if (claims["kind"] == "ours").all():
        return f"all {len(claims)} checks hold; they are ours, not the paper's"
    trends = "" if (claims["kind"] == "number").any() else " of what the paper says in words"
    checks = f"all {len(claims)} checks{trends} hold" if len(claims) > 1 else f"the one check{trends} holds"
    return f"{checks}{on}"


def remarks_on(drawn: Drawn) -> list[str]:
    """Why checks of a drawing do not hold, as far as remarks.csv says."""
    claims = drawn.drawing.claims
    if claims.empty or not drawn.remarks or not drawn.remarks.is_file():
        return []
    known = pd.read_csv(drawn.remarks).query("drawing == @drawn.stem.name")
    failing = set(claims.loc[~claims["within"].astype(bool), "quantity"])
    return [f"{row.quantity}: {row.remark}" for row in known.itertuples() if row.quantity in failing]


def artefact(name: str, figure: Figure, drawn: list[Drawn]) -> Artefact:
    """An artefact of conf/figure or of a user's folder. Raises SettingError for an experiment that is not there."""
    there = {run.record["config"]["name"] for one in drawn for run in one.runs}
    chosen = [experiment(each) for each in figure.experiments] if figure.needs_runs else []
    made_by = [line for each in chosen if each.name in there for line in each.commands(figure.also)]
    lacking = [Lacking(each.name, each.commands(figure.also), each.needs) for each in chosen if each.name not in there]
    about = (figure.paper, figure.item) if figure.paper else ("Yours", name)
    return Artefact(name, *about, figure.shows or name, drawn, [*figure.made_by, *made_by], lacking)


def verdict_table(claims: pd.DataFrame) -> list[list[str]]:
    """Verdicts as text, a line each under `VERDICT_HEADER`; those that do not hold first."""
    ordered = claims.assign(fails=~claims["within"].astype(bool)).sort_values("fails", ascending=False, kind="stable")
    return [
        [
            f"{row.quantity}: {row.case}",
            f"{RELATIONS[row.relation]}{row.paper:.5g}",
            f"{row.ours:.4g}",
            f"{row.difference:+.3g}",
            f"{row.tolerance:.2g}" if row.tolerance else "0",
            "holds" if row.within else "does not hold",
        ]
        for row in ordered.itertuples()
    ]


def by_paper(artefacts: list[Artefact]) -> dict[str, list[Artefact]]:
    """Artefacts by paper, its tables first, then its figures, each by number; what is ours last."""
    grouped: dict[str, list[Artefact]] = {}
    for one in sorted(artefacts, key=lambda one: one.paper == "Ours"):
        grouped.setdefault(one.paper, []).append(one)
    return {paper: sorted(some, key=_place_in_paper) for paper, some in grouped.items()}


def _place_in_paper(artefact: Artefact) -> tuple[int, int, str]:
    found = NUMBER.search(artefact.item)
    if not found:
        return 2, 0, artefact.item
    return ("table", "fig").index(found[1]), int(found[2]), found[3]
