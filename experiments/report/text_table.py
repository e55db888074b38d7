"""Formats tables of strings as Markdown and LaTeX (booktabs)."""

import re
from collections.abc import Sequence

LATEX = {
    **{"%": r"\%", "_": r"\_", "^": r"\^{}", "&": r"\&", "#": r"\#", "sigma": r"$\sigma$", "+-": r"$\pm$"},
    **{"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "~": r"\textasciitilde{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", "\u00b1": r"$\pm$", "\u03c3": r"$\sigma$"},
    **{"\u03b5": r"$\varepsilon$", "\u221e": r"$\infty$", "\u2264": r"$\leq$"},
}
SPECIAL = re.compile("|".join(rf"\b{one}\b" if one.isalpha() and one.isascii() else re.escape(one) for one in LATEX))
FORMULA = re.compile(r"(\$[^$]+\$)")


Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, header, rows


def texts(tables: Sequence[Table]) -> dict[str, str]:
    """All tables in one text, by file suffix: "md" and "tex"."""
    return {
        "md": "\n".join(f"{title}.\n\n{markdown(header, rows)}" for title, header, rows in tables),
        "tex": "\n".join(latex(header, rows, f"{title}.") for title, header, rows in tables),
    }


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with padded columns, ending with a newline. A vertical bar in a cell is escaped."""
    header, *rows = [[cell.replace("|", r"\|") for cell in line] for line in (header, *rows)]
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |\n"
        for line in lines
    )


def latex(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, columns: str = "", before: Sequence[str] = ()
) -> str:
    """A LaTeX table environment; it needs the package booktabs. A cell written as **cell** is set in bold.

    Formulas between dollar signs are kept. Everything else is escaped.

    Args:
        header: the column titles.
        rows: the cells of each row.
        caption: the caption.
        columns: alignment of each column, such as "lrr". Empty: all to the left.
        before: commands before the table, such as the size of letters.
    """
    lines = [
        r"\begin{table}",
        r"  \centering",
        *(f"  {command}" for command in before),
        rf"  \caption{{{_escaped(caption)}}}",
        rf"  \begin{{tabular}}{{{columns or 'l' * len(header)}}}",
        r"    \toprule",
        _line(header),
        r"    \midrule",
        *map(_line, rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    text = " & ".join(map(_cell, cells))
    return f"    {'{}' * text.startswith(('[', '*'))}{text} " + r"\\"  # \\ would take a [ or * that follows it


def _cell(cell: str) -> str:
    before, bold, after = cell.partition("**")
    if not bold:
        return _escaped(cell)
    strong, _, after = after.partition("**")
    return rf"{_escaped(before)}\textbf{{{_escaped(strong)}}}{_escaped(after)}"


def _escaped(text: str) -> str:
    parts = FORMULA.split(text)
    return "".join(part if FORMULA.fullmatch(part) else SPECIAL.sub(lambda one: LATEX[one[0]], part) for part in parts)
