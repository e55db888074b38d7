"""Figures 2 and 5 of Levine and Feizi: the possible noisy values of a pixel under splitting and uniform noise."""

from math import sqrt

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes

from experiments.papers.levine2021.results import levine_verdicts
from experiments.report.certified_accuracy import Values
from experiments.report.figure import Drawing, TheoryFigure
from experiments.report.layout import WIDTH
from experiments.report.symbols import LAMBDA
from experiments.runs.reader import StoredRun
from smoothing import Noise, Splitting, Uniform
from smoothing.streams import Stage, Stream

LEVELS = 100  # number of steps of the drawn pixel values
DOTS = 6  # samples at each pixel value


class NoiseValues(TheoryFigure):
    """Possible pairs of a pixel x and its noisy value: splitting noise above, uniform noise below. No runs.

    Possible pairs are gray. They are dark if every x can have the noisy value, which then carries no information about
    x. The dots are samples of the noises that this project certifies with.

    Args:
        lam: values of lambda = sqrt(3) sigma, one column each.
        seed: seed of the dots.
    """

    def __init__(self, lam: list[float], seed: int = 0) -> None:
        super().__init__()
        self.lam, self.seed = lam, seed

    def draw(self, runs: list[StoredRun]) -> Drawing:
        x = np.linspace(0, 1, LEVELS + 1)
        figure, axes = plt.subplots(2, len(self.lam), sharex=True, sharey="row", figsize=(WIDTH, 4.4), squeeze=False)
        parts = []
        for column, lam in enumerate(self.lam):
            panels = {"SSN": (splitting_range(x, lam), Splitting), "uniform": (uniform_range(x, lam), Uniform)}
            for row, (name, ((low, high), noise)) in enumerate(panels.items()):
                sigma = lam / sqrt(3)
                dots = self._samples(x, noise(sigma, LEVELS) if noise is Splitting else noise(sigma))
                part = pd.DataFrame({"noise": name, "lambda": lam, "x": x, "low": low, "high": high})
                parts.append(part.join(pd.DataFrame(dots, columns=[f"sample_{i}" for i in range(DOTS)])))
                _draw(axes[row][column], x, low, high, dots)
            axes[0][column].set_title(f"{LAMBDA} = {lam:g}")
            axes[1][column].set_xlabel("$x$")
        axes[0][0].set_ylabel("splitting noise:\nnoisy $x$")
        axes[1][0].set_ylabel("uniform noise:\n$x$ + noise")
        handles, labels = axes[0][-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3, handlelength=1.2, columnspacing=1)
        table = pd.concat(parts, ignore_index=True)
        return Drawing(figure, table, levine_verdicts("dssn_noise_values", _quantities(table)), [])

    def _samples(self, x: Values, noise: Noise) -> Values:
        """Sampled noisy values of each x: (points, DOTS)."""
        stream = Stream(self.seed, 0, Stage.PREDICTION)
        pixels = torch.from_numpy(x).to(torch.float32)
        return noise.sample(pixels, DOTS, stream.block(0, torch.device("cpu"))).T.numpy().astype(np.float64)


def splitting_range(x: Values, lam: float) -> tuple[Values, Values]:
    """The smallest and largest noisy value of each x under splitting noise (eqs. 27 and 28).

    The first split position above x is x + u, 0 < u <= 2 lambda, and the last one below is x + u - 2 lambda. The noisy
    value is the middle of the part of [0, 1] between them. It grows with u.
    """
    return (x + np.maximum(x - 2 * lam, 0)) / 2, (x + np.minimum(x + 2 * lam, 1)) / 2


def uniform_range(x: Values, lam: float) -> tuple[Values, Values]:
    """The smallest and largest value of x + noise."""
    return x - lam, x + lam


def _draw(axis: Axes, x: Values, low: Values, high: Values, dots: Values) -> None:
    axis.fill_between(x, low, high, color="0.82", lw=0, label="possible")
    least, most = low.max(), high.min()
    if most >= least:
        axis.fill_between(x, least, most, color="0.55", lw=3, label="possible for every $x$: no information about $x$")
    axis.plot(x, dots, ".", color="C0", ms=1.5, label="samples")
    lines, labels = axis.get_legend_handles_labels()
    for line in lines[labels.index("samples") + 1 :]:
        line.set_label("_")


def _quantities(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The quantities of dssn_noise_values in claims.csv, for lambda above 1/2."""
    uniform, splitting = {}, {}
    for (name, lam), part in table[table["lambda"] > 0.5].groupby(["noise", "lambda"]):
        shared = float(max(0.0, part["high"].min() - part["low"].max()))
        if name == "uniform":
            uniform[f"lambda = {lam:g}"] = shared / (2 * lam - 1)
        else:
            splitting[f"lambda = {lam:g}"] = shared
    return {
        "length of the range of values that every x can give under uniform noise over 2 lambda - 1": uniform,
        "length of the range of values that every x can give under SSN": splitting,
    }
