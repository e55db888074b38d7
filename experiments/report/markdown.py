"""REPORT.md: every artefact's status and its table paper | ours | difference | tolerance, as text for git diff."""

from collections import Counter
from pathlib import Path

from experiments.report.artefacts import (
    COUNT_HEADER,
    VERDICT_HEADER,
    Artefact,
    Lacking,
    Status,
    by_paper,
    counted,
    reason_of,
    remarks_on,
    status_of,
    verdict_table,
)
from experiments.report.costs import cost_of, provenance_of, stands_on
from experiments.report.figure import Drawn
from experiments.report.text_table import markdown

INTRODUCTION = """# Results compared with the papers

Written by `make figures` from `results/`. Every status is computed from the verdicts below it:

- *reproduced*: all checks hold, on the paper's own data or for an item without data. A printed number is among them.
- *trend reproduced*: all checks hold, but on substitute data, or only orderings are checked.
- *by construction*: the only checks are true by construction. They test the code, not the paper.
- *undecided*: no check fails, but an ordering is within the noise of the test examples.
- *differs*: at least one check fails.
- *drawn*: there is nothing to check against the paper.
- *not run here*: there are no results; the commands that create them are listed.

A check that is true by construction (`theorem`) never makes a reproduction. If it fails, the code is wrong, or the
files drawn are. A check is void if a run that certifies nothing would pass it: a test runs every check against runs
that always abstain, that have one class or one output, and whose radii are random. Only theorems may hold for them.

Tolerances and their reasons are in `expected.csv` and `claims.csv` of each paper's folder in `experiments/papers/`. A
negative tolerance is the noise of the test examples: an ordering must hold by more. *void*: one of the runs that a
check rests on certifies no more than a constant function does. The figures are in `figures/index.html`.
"""


def write_report(artefacts: list[Artefact], path: Path) -> None:
    """Write all artefacts to a Markdown file. The same results give the same bytes."""
    counts = Counter(artefact.status for artefact in artefacts)
    lines = [[f"[{a.title}](#{a.name})", f"`{a.name}`", a.status.value, _data_of(a)] for a in _ordered(artefacts)]
    parts = [
        INTRODUCTION,
        ", ".join(f"{status.value}: {counts[status]}" for status in Status if counts[status]) + ".\n",
        markdown(COUNT_HEADER, counted(artefacts)),
        markdown(["paper's item", "figure", "status", "stands on"], lines),
    ]
    for paper, some in by_paper(artefacts).items():
        parts.append(f"## {paper}\n")
        parts += [_section(artefact) for artefact in some]
    path.write_text("\n".join(parts))


def _ordered(artefacts: list[Artefact]) -> list[Artefact]:
    return [artefact for some in by_paper(artefacts).values() for artefact in some]


def _data_of(artefact: Artefact) -> str:
    """What all drawings stand on, as a cell of a table."""
    runs = {run.folder: run for drawn in artefact.drawn for run in drawn.runs}
    return stands_on(list(runs.values())).replace(" | ", "<br>")


def _section(artefact: Artefact) -> str:
    parts = [
        f'<a id="{artefact.name}"></a>\n\n### {artefact.title}: {artefact.shows}\n',
        f"**{artefact.status.value}**: {artefact.why}. `{artefact.command}`\n",
        *(_drawing(drawn) for drawn in artefact.drawn),
        *([_lacking(artefact.lacking)] if artefact.lacking else []),
    ]
    return "\n".join(parts)


def _drawing(drawn: Drawn) -> str:
    parts = [f"#### {drawn.stem.name}: {status_of(drawn).value}\n\n{reason_of(drawn)}.\n"]
    if len(drawn.drawing.claims):
        rows = [[cell.replace("|", "\\|") for cell in row] for row in verdict_table(drawn.drawing.claims)]
        parts.append(markdown(VERDICT_HEADER, rows))
    parts += [f"- {remark}\n" for remark in remarks_on(drawn)]
    if drawn.runs:
        made = "; ".join(f"{heading}: {text}" for heading, text in provenance_of(drawn.runs).items())
        parts.append(f"Stands on {stands_on(drawn.runs)}.\n\nCost: {cost_of(drawn.runs)}. Made with {made}.\n")
    return "\n".join(parts)


def _lacking(lacking: list[Lacking]) -> str:
    lines = ["Not run here:\n"]
    for one in lacking:
        lines.append(f"- `{one.experiment}`{': needs ' + one.needs if one.needs else ''}")
        lines += [f"  `{command}`" for command in one.commands]
    return "\n".join(lines) + "\n"
