"""Draws a curve of certified accuracy against radius."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from experiments.report.direct_labels import Curve
from experiments.report.titles import examples_text


def draw_accuracy(axis: Axes, curve: pd.DataFrame, name: str, color: Any, line: Any, *, band: bool = True) -> Curve:
    """Draw a table of `certified_accuracy` down to 0, where the curve ends, with its confidence band."""
    shown = curve[: int((curve["accuracy"] > 0).sum()) + 1]
    if band:
        axis.fill_between(shown["radius"], shown["low"], shown["high"], color=color, alpha=0.12, lw=0)
    axis.plot(shown["radius"], shown["accuracy"], color=color, ls=line, label=name)
    return Curve(shown["radius"].to_numpy(), shown["accuracy"].to_numpy(), name, color)


def bands_text(curves: list[pd.DataFrame]) -> str:
    """What a heading says about the bands of curves."""
    return f"bands: 95 %, {examples_text(int(curve['examples'].iloc[0]) for curve in curves)}"
