"""The size of figures and their heading. At the width of a phone their letters are still legible."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report.titles import wrapped

WIDTH, NARROW = 5.5, 4.4  # inches of a figure with panels side by side, and of one with a single column
LETTERS = 14.5  # of a heading, per inch


def panels(count: int, height: float = 2.3, columns: int = 2, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels of this height in inches, at most `columns` per row.

    Args:
        count: number of panels.
        height: of each, with its title and labels.
        columns: panels side by side.
        shared: `sharex` and `sharey` of matplotlib's `subplots`.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    width = NARROW if columns == 1 else WIDTH
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=(width, 0.5 + height * rows), **shared)
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])


def mosaic(rows: list[str], height: float) -> tuple[Figure, Mapping[str, Axes]]:
    """A figure with panels named by letters: "AA" is a panel as wide as the figure, "BC" are two side by side."""
    return plt.subplot_mosaic([list(row) for row in rows], figsize=(WIDTH, 0.5 + height * len(rows)))


def head(figure: Figure, title: str, about: str = "") -> None:
    """Write a title above all panels, and below it what a reader must know."""
    figure.suptitle("\n".join(_wrapped(figure, text) for text in (title, about) if text))


def add_to_head(figure: Figure, text: str) -> None:
    """Write one more text below those of the heading, if the figure has one."""
    if heading := figure.get_suptitle():
        figure.suptitle(f"{heading}\n{_wrapped(figure, text)}")


def _wrapped(figure: Figure, text: str) -> str:
    return wrapped(text, int(LETTERS * figure.get_size_inches()[0]))
