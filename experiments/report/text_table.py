"""Formats tables of strings as Markdown and LaTeX (booktabs)."""

from collections.abc import Sequence

LATEX = {"%": r"\%", "_": r"\_", "^": r"\^{}", "&": r"\&", "#": r"\#", "sigma": r"$\sigma$", "+-": r"$\pm$"}


Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]  # title, header, rows


def texts(tables: Sequence[Table]) -> dict[str, str]:
    """All tables in one text, by file suffix: "md" and "tex"."""
    return {
        "md": "\n".join(f"{title}.\n\n{markdown(header, rows)}" for title, header, rows in tables),
        "tex": "\n".join(latex(header, rows, f"{title}.") for title, header, rows in tables),
    }


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with padded columns, ending with a newline."""
    widths = [max(len(line[i]) for line in (header, *rows)) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |\n"
        for line in lines
    )


def latex(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A LaTeX table environment; it needs the package booktabs. A cell written as **cell** is set in bold."""
    lines = [
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{_escaped(caption)}}}",
        rf"  \begin{{tabular}}{{{'l' * len(header)}}}",
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
    return "    " + " & ".join(map(_cell, cells)) + r" \\"


def _cell(cell: str) -> str:
    before, bold, after = cell.partition("**")
    if not bold:
        return _escaped(cell)
    strong, _, after = after.partition("**")
    return rf"{_escaped(before)}\textbf{{{_escaped(strong)}}}{_escaped(after)}"


def _escaped(text: str) -> str:
    for plain, set_so in LATEX.items():
        text = text.replace(plain, set_so)
    return text
