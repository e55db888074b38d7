"""figures/index.html: one card per artefact, in one file that needs no network and no scripts."""

import base64
from collections import Counter
from html import escape
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
from experiments.report.claims import CLOSE, FAILS, HOLDS
from experiments.report.costs import cost_of, provenance_of, stands_on
from experiments.report.figure import Drawn

STYLE = Path(__file__).with_name("page.css")
ROWS_SHOWN = 8  # verdicts shown per drawing; if there are more, only the failed ones are open, the others fold out
PIXELS = 120  # of the page, per inch of a figure: its letters are as large as those of the text
MARKS = {
    Status.REPRODUCED: ("good", "✓"),
    Status.TREND: ("trend", "↗"),
    Status.THEOREM: ("plain", "∴"),
    Status.UNDECIDED: ("trend", "?"),
    Status.DRAWN: ("plain", "="),
    Status.DIFFERS: ("bad", "✗"),
    Status.MISSING: ("none", "○"),
}
WHOLE = "Every table and figure of the papers, run or not."
SOME = "Some tables and figures; a command is on each card."
MADE_BY = "Made by <code>make figures</code> from <code>results/</code>."
VERDICT_MARKS = {HOLDS: "✓", CLOSE: "?", FAILS: "✗"}
EXPLAINED = {
    Status.REPRODUCED: "all checks hold, on the paper's own data or for an item without data; a number is among them",
    Status.TREND: "all checks hold, but on substitute data, or only orderings are checked",
    Status.THEOREM: "all checks are true by construction: they test the code, not the paper",
    Status.UNDECIDED: "no check fails, but an ordering is within the noise of the test examples",
    Status.DRAWN: "the paper prints nothing to compare it with",
    Status.DIFFERS: "at least one check fails; its card shows which",
    Status.MISSING: "needs data, weights or hardware that were not available",
}


def write_page(artefacts: list[Artefact], path: Path, *, whole: bool = True) -> None:
    """Write the page, with the drawings embedded. The same results give the same bytes.

    Args:
        artefacts: the figures and tables, in any order.
        path: the file.
        whole: whether these are all artefacts. The page says so.
    """
    counts = Counter(artefact.status for artefact in artefacts)
    papers = by_paper(artefacts)
    path.write_text(
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Certified smoothing: results compared with the papers</title>
<style>
{STYLE.read_text()}</style>
</head>
<body>
<header>
<h1>Results compared with the papers</h1>
<p>{WHOLE if whole else SOME} Each status is computed from the checks on its card. Checks that
are true by construction never make a reproduction. A negative tolerance is the noise of the test examples, by which an
ordering must hold. Tolerances and their reasons are in expected.csv and claims.csv.
{MADE_BY if whole else ""}</p>
<dl class="counts">
{"".join(_count(status, counts[status]) for status in Status)}</dl>
{_table(COUNT_HEADER, counted(artefacts))}</header>
<nav aria-label="Contents">
{"".join(_contents(paper, some) for paper, some in papers.items())}</nav>
<main>
{"".join(_paper(paper, some) for paper, some in papers.items())}</main>
</body>
</html>
"""
    )


def _count(status: Status, count: int) -> str:
    return f"<div>{_chip(status)}<dt>{count}</dt><dd>{EXPLAINED[status]}</dd></div>\n"


def _chip(status: Status) -> str:
    kind, mark = MARKS[status]
    return f'<span class="chip {kind}"><span aria-hidden="true">{mark}</span> {escape(status.value)}</span>'


def _contents(paper: str, artefacts: list[Artefact]) -> str:
    lines = [
        f'<li><a href="#{a.name}">{escape(_place(a))}<small>{escape(a.shows)}</small></a>{_chip(a.status)}</li>\n'
        for a in artefacts
    ]
    return f"<section><h2>{escape(paper)}</h2><ul>\n{''.join(lines)}</ul></section>\n"


def _place(artefact: Artefact) -> str:
    """The item of the paper, such as fig. 3(a), or the figure's id if it belongs to no paper."""
    return artefact.item or artefact.name


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _paper(paper: str, artefacts: list[Artefact]) -> str:
    return f"<h2>{escape(paper)}</h2>\n" + "".join(map(_card, artefacts))


def _card(artefact: Artefact) -> str:
    made = "".join(f"{escape(command)}\n" for command in artefact.made_by)
    return f"""<article id="{artefact.name}">
<header>
<h3><span>{escape(_place(artefact))}</span> {escape(_sentence(artefact.shows))}</h3>{_chip(artefact.status)}
</header>
<p class="why">{escape(_sentence(artefact.why))}.</p>
<pre>{escape(artefact.command)}
{f"<span># draws the results of</span>{chr(10)}{made}" if made else ""}</pre>
{"".join(_drawing(drawn, several=len(artefact.drawn) > 1) for drawn in artefact.drawn)}
{_lacking(artefact.lacking, opened=not artefact.drawn)}</article>
"""


def _drawing(drawn: Drawn, *, several: bool) -> str:
    name = drawn.stem.name
    title = (
        f"<h4>{escape(name)} {_chip(status_of(drawn))}</h4>\n<p>{escape(_sentence(reason_of(drawn)))}.</p>\n"
        if several
        else ""
    )
    notes = "".join(f"<li>{escape(note)}</li>\n" for note in drawn.drawing.notes)
    parts = [title, _picture(drawn), _verdicts(drawn)]
    if notes:
        parts.append(f"<details><summary>Notes</summary><ul>\n{notes}</ul></details>\n")
    if drawn.runs:
        entries = {"stands on": stands_on(drawn.runs), "cost": str(cost_of(drawn.runs))} | provenance_of(drawn.runs)
        rows = "".join(f"<dt>{heading}</dt><dd>{escape(text)}</dd>\n" for heading, text in entries.items())
        summary = f"How it was made: {escape(entries['stands on'])}; {escape(entries['cost'])}"
        parts.append(f"<details><summary>{summary}</summary><dl>\n{rows}</dl></details>\n")
    return f'<section class="drawing">\n{"".join(parts)}</section>\n'


def _picture(drawn: Drawn) -> str:
    """The SVG. Without one, the tables of the Markdown, except the one that is shown as verdicts."""
    if drawn.drawing.figure:
        svg = base64.b64encode(drawn.path.with_suffix(".svg").read_bytes()).decode()
        width, height = (round(PIXELS * inches) for inches in drawn.drawing.figure.get_size_inches())
        size = (
            f'width="{width}" height="{height}" alt="{escape(drawn.stem.name)}"'  # the page does not jump as it loads
        )
        return f'<figure><img {size} src="data:image/svg+xml;base64,{svg}"></figure>\n'
    return "".join(
        f"<p>{_strong(caption)}</p>\n{_table(lines[0], lines[1:])}"
        for caption, lines in tables_of(drawn.drawing.texts["md"])
        if not caption.startswith("Compared with the paper")
    )


def tables_of(text: str) -> list[tuple[str, list[list[str]]]]:
    """The tables of a Markdown text: for each its caption, the line above it, and its lines of cells, header first."""
    found: list[tuple[str, list[list[str]]]] = []
    caption = ""
    for line in text.splitlines():
        if not line.startswith("|"):
            caption = line or caption
        elif caption:
            found.append((caption, [_cells(line)]))
            caption = ""
        elif set(line) - set("|- "):  # skip the rule below a header
            found[-1][1].append(_cells(line))
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _strong(text: str) -> str:
    before, _, after = escape(text).partition("**")
    inside, _, rest = after.partition("**")
    return f"{before}<strong>{inside}</strong>{rest}" if inside else before


def _table(header: list[str], rows: list[list[str]], kind: str = "") -> str:
    head = "".join(f"<th>{_strong(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{_strong(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return (
        f'<div class="scroll"><table class="{kind}">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def _verdicts(drawn: Drawn) -> str:
    claims = drawn.drawing.claims
    if claims.empty:
        return ""
    said = "".join(f"<li>{escape(claim)}</li>\n" for claim in claims["claim"].unique())
    rows = verdict_table(claims)
    shown = [row for row in rows if len(rows) <= ROWS_SHOWN or row[-1] != "holds"]
    others = rows[len(shown) :]
    parts = [f"<h4>What is checked</h4><ul>\n{said}</ul>\n"]
    if shown:
        parts.append(_verdict_table(shown))
    parts += [f'<p class="remark">{escape(_sentence(remark))}.</p>\n' for remark in remarks_on(drawn)]
    if others:
        summary = f"{len(others)} {'more ' if shown else ''}checks, all within their tolerance"
        parts.append(f"<details><summary>{summary}</summary>\n{_verdict_table(others)}</details>\n")
    return "".join(parts)


def _verdict_table(rows: list[list[str]]) -> str:
    marked = [[*row[:-1], f"{VERDICT_MARKS[row[-1]]} {row[-1]}"] for row in rows]
    return _table(VERDICT_HEADER, marked, "verdicts")


def _lacking(lacking: list[Lacking], *, opened: bool) -> str:
    if not lacking:
        return ""
    entries = "".join(
        f"<dt><code>{escape(one.experiment)}</code></dt><dd>{'needs ' + escape(one.needs) if one.needs else ''}"
        f"<pre>{escape(chr(10).join(one.commands))}</pre></dd>\n"
        for one in lacking
    )
    names = ", ".join(escape(one.experiment) for one in lacking)
    kept = " open" if opened else ""
    return f'<details class="lacking"{kept}><summary>Not run here: {names}</summary><dl>\n{entries}</dl></details>\n'
