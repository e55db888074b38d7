"""An artefact is a figure or table of a paper, with its status and the commands and data that it needs.

Each artefact has one file in conf/figure. Its keys say which item of which paper it reproduces and what it shows. Its
status is never typed: it is computed from the verdicts on the papers' numbers and claims. A check that is true by
construction never makes a reproduction.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import pandas as pd

from experiments.config.experiment import experiment, has_file
from experiments.report.claims import CLOSE, FAILS, KINDS, verdict_words
from experiments.report.figure import Drawn, Figure

NUMBER = re.compile(r"(table|fig)s?\.? (\d+)(.*)")
OWN_DATA = ("CelebA", "MNIST", "CIFAR10", "ImageNet", "Latents", "cifar10", "imagenet")  # all others are substitutes
SUBSTITUTES = {"FaceGenerator": "faces by DCGAN"}  # models that stand in for a paper's generator of its data
FOLDERS = ("Classes", "ImageFolder")  # data sets made of a user's images
VERDICT_HEADER = ["what", "kind", "paper", "ours", "difference", "tolerance", "verdict"]
COUNT_HEADER = ["kind of check", "what it is", "checks", "hold"]
RELATIONS = {"below": "< ", "at most": "≤ ", "about": ""}


class Status(StrEnum):
    """Outcome of an artefact, from best to missing."""

    REPRODUCED = "reproduced"
    TREND = "trend reproduced"
    THEOREM = "by construction"
    UNDECIDED = "undecided"
    DRAWN = "drawn"
    DIFFERS = "differs"
    MISSING = "not run here"


@dataclass(frozen=True)
class Lacking:
    """An experiment of a figure that has no results yet.

    Attributes:
        experiment: its name.
        commands: the commands that create the results, in order.
        needs: the data, weights and hardware that they need. Empty if the package alone is enough.
    """

    experiment: str
    commands: list[str]
    needs: str


@dataclass(frozen=True)
class Artefact:
    """A figure or table.

    Attributes:
        name: id of its figure.
        paper: the paper, such as "Cohen et al."
        item: the item of the paper, such as "fig. 6". May be empty.
        shows: what it shows, in a few words.
        drawn: its drawings.
        made_by: the commands that made the results in the drawings.
        lacking: its experiments that have no results.
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
        """Paper and item, such as "Cohen et al., fig. 6"."""
        return f"{self.paper}, {self.item}" if self.item else self.paper

    @property
    def command(self) -> str:
        return f"python plot.py figure={self.name}"

    @cached_property
    def status(self) -> Status:
        """The status of the drawings: "differs" if any differs. Experiments that were not run are listed separately."""
        found = {status_of(drawn) for drawn in self.drawn}
        worst_first = (Status.DIFFERS, Status.UNDECIDED, Status.TREND, Status.REPRODUCED, Status.THEOREM, Status.DRAWN)
        for status in worst_first:
            if status in found:
                return status
        return Status.MISSING

    @property
    def why(self) -> str:
        """The reason for the status."""
        if not self.drawn:
            return "no results of " + (", ".join(lacking.experiment for lacking in self.lacking) or self.name)
        said = [reason_of(drawn) for drawn in self.drawn]
        return said[0] if len(set(said)) == 1 else f"{len(said)} drawings, each judged below"


def stand_ins(drawn: Drawn) -> list[str]:
    """The substitute data of a drawing: a class of data sets, the name of a folder's experiment, or a generator."""
    types = {(run.identity["dataset"]["type"], run.record["config"]["name"]) for run in drawn.runs}
    found = {f"the images of {name}" if kind in FOLDERS else kind for kind, name in types} - set(OWN_DATA)
    models = {(run.identity.get("model") or {}).get("type") for run in drawn.runs}
    return sorted(found | {SUBSTITUTES[model] for model in models if model in SUBSTITUTES})


def status_of(drawn: Drawn) -> Status:
    """The status of one drawing.

    Reproduced: all checks hold on the papers' own data, or for an item without data, and a printed number is among
    them.
    Trend reproduced: all checks hold, but on substitute data, or only orderings are checked.
    By construction: there are only checks that are true by construction (kind "theorem"), and they hold.
    Undecided: no check fails, but an ordering is within the noise of the test examples.
    Drawn: there is nothing to check, the drawing is partial, or all checks are our own (kind "ours").
    Differs: a check fails. For a theorem, this is an error of the code, or of the files that were drawn.

    Beside checks of the paper, our own do not count. Theorems only count if they fail.
    """
    claims = deciding(drawn.drawing.claims)
    if claims.empty:
        return Status.DRAWN
    words = verdict_words(claims)
    if (words == FAILS).any():
        return Status.DIFFERS
    if drawn.drawing.partial or (claims["kind"] == "ours").all():
        return Status.DRAWN
    if (claims["kind"] == "theorem").all():
        return Status.THEOREM
    if (words == CLOSE).any():
        return Status.UNDECIDED
    return Status.REPRODUCED if not stand_ins(drawn) and bool((claims["kind"] == "number").any()) else Status.TREND


def deciding(claims: pd.DataFrame) -> pd.DataFrame:
    """The checks that decide a status: those of the paper, or our own if there are no others."""
    papers = claims[claims["kind"] != "ours"] if len(claims) else claims
    return papers if len(papers) else claims


def reason_of(drawn: Drawn) -> str:
    """The reason for `status_of`, and the outcome of our own checks."""
    own = drawn.drawing.claims.drop(deciding(drawn.drawing.claims).index)
    hold = int(own["within"].astype(bool).sum()) if len(own) else 0
    said = f"; of {len(own)} checks of our own certificate, {hold} hold" if len(own) else ""
    return f"{_reason(drawn)}{said}"


def _reason(drawn: Drawn) -> str:
    claims, others = deciding(drawn.drawing.claims), stand_ins(drawn)
    on = f", on {' and '.join(others)} instead of the paper's data" if others else ""
    if claims.empty:
        return f"the paper prints nothing to compare these results with{on}"
    words, theorem = verdict_words(claims), claims["kind"] == "theorem"
    failing, close = int((words == FAILS).sum()), int((words == CLOSE).sum())
    near = f"{close} of {len(claims)} checks {'is' if close == 1 else 'are'} within the noise of the test examples"
    if failing:
        broken = int((theorem & (words == FAILS)).sum())
        said = f", {broken} of them true by construction: an error of the code or of the files drawn" if broken else ""
        return f"{failing} of {len(claims)} checks fail{said}{f'; {near}' if close else ''}{on}"
    if drawn.drawing.partial:
        return f"{near if close else f'all {len(claims)} checks hold'}, but {drawn.drawing.partial}{on}"
    if (claims["kind"] == "ours").all():
        return f"all {len(claims)} checks hold; the checks are ours, not the paper's"
    if theorem.all():
        which = " that are true by construction" if len(claims) > 1 else " that is true by construction"
        return f"{_all_hold(len(claims), which)}: a test of the code, not of the paper{on}"
    if close:
        return f"no check fails, but {near}{on}"
    trends = "" if (claims["kind"] == "number").any() else " of the paper's verbal claims"
    more = f"; {int(theorem.sum())} more hold by construction" if theorem.any() else ""
    return f"{_all_hold(int((~theorem).sum()), trends)}{on}{more}"


def _all_hold(count: int, which: str) -> str:
    return f"all {count} checks{which} hold" if count > 1 else f"the one check{which} holds"


def remarks_on(drawn: Drawn) -> list[str]:
    """The explanations in remarks.csv of the failed checks that decide a drawing's status."""
    claims = deciding(drawn.drawing.claims)
    if claims.empty or not drawn.remarks or not drawn.remarks.is_file():
        return []
    known = pd.read_csv(drawn.remarks).query("drawing == @drawn.stem.name")
    failing = set(claims.loc[~claims["within"].astype(bool), "quantity"])
    return [f"{row.quantity}: {row.remark}" for row in known.itertuples() if row.quantity in failing]


def artefact(name: str, figure: Figure, drawn: list[Drawn]) -> Artefact:
    """An artefact of conf/figure or of a user's folder.

    Raises SettingError if an experiment has neither a file nor a run that is drawn.
    """
    there = {run.record["config"]["name"] for one in drawn for run in one.runs}
    names = figure.experiments if figure.needs_runs else []
    chosen = [experiment(each) for each in names if each not in there or has_file(each)]
    made_by = [line for each in chosen if each.name in there for line in each.commands(figure.also)]
    lacking = [Lacking(each.name, each.commands(figure.also), each.needs) for each in chosen if each.name not in there]
    about = (figure.paper, figure.item) if figure.paper else ("Yours", name)
    return Artefact(name, *about, figure.shows or name, drawn, [*figure.made_by, *made_by], lacking)


def verdict_table(claims: pd.DataFrame) -> list[list[str]]:
    """Verdicts as text, one line each, with the columns `VERDICT_HEADER`. Checks that do not hold come first."""
    ordered = claims.assign(fails=~claims["within"].astype(bool), verdict=verdict_words(claims))
    return [
        [
            f"{row.quantity}: {row.case}",
            row.kind,
            f"{RELATIONS[row.relation]}{row.paper:.5g}",
            f"{row.ours:.4g}",
            f"{row.difference:+.3g}",
            "void" if pd.isna(row.tolerance) else f"{row.tolerance:.2g}" if row.tolerance else "0",
            row.verdict,
        ]
        for row in ordered.sort_values("fails", ascending=False, kind="stable").itertuples()
    ]


def counted(artefacts: list[Artefact]) -> list[list[str]]:
    """For each kind of check: its name, what it is, how many checks there are and how many hold."""
    parts = [drawn.drawing.claims for one in artefacts for drawn in one.drawn if len(drawn.drawing.claims)]
    claims = pd.concat(parts) if parts else pd.DataFrame({"kind": [], "within": []})
    of = {kind: claims.loc[claims["kind"] == kind, "within"].astype(bool) for kind in KINDS}
    return [[kind, text, str(len(of[kind])), str(int(of[kind].sum()))] for kind, text in KINDS.items()]


def by_paper(artefacts: list[Artefact]) -> dict[str, list[Artefact]]:
    """Artefacts grouped by paper: tables, then figures, each by number. Other papers' and our own come last."""
    grouped: dict[str, list[Artefact]] = {}
    for one in sorted(artefacts, key=lambda one: {"Other papers": 1, "Ours": 2}.get(one.paper, 0)):
        grouped.setdefault(one.paper, []).append(one)
    return {paper: sorted(some, key=_place_in_paper) for paper, some in grouped.items()}


def _place_in_paper(artefact: Artefact) -> tuple[int, int, str]:
    found = NUMBER.search(artefact.item)
    if not found:
        return 2, 0, artefact.item
    return ("table", "fig").index(found[1]), int(found[2]), found[3]
