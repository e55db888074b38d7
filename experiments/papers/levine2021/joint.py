"""Figure 4, proposition 1 and equation 19 of Levine and Feizi: correlated noise breaks the bound, equal splits keep it.

Everything is counted exactly. Both points are on a grid; noise and split positions are on its half-steps.
"""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from experiments.papers.levine2021.results import levine_verdicts
from experiments.report.certified_accuracy import Values
from experiments.report.figure import Drawing, TheoryFigure
from experiments.report.layout import WIDTH, head
from experiments.report.symbols import LAMBDA
from experiments.runs.reader import StoredRun
from smoothing.noise.splitting import split

Indices = NDArray[np.int64]
LEVELS = 20  # grid steps per unit; 2 lambda = 1 has as many half-steps
X, MOVED = np.array([0.8, 0.2]), np.array([0.6, 0.4])  # the proposition's points
LAM = 0.5
THRESHOLD = 0.4  # threshold of the proposition's base classifier
HALF_STEP = 0.5 / LEVELS
POINTS = ((X, "o", "C0", "$x$", (6, -10)), (MOVED, "s", "C1", "$x'$", (-14, 5)))  # mark, color, name and its place
WHITE = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8}  # behind names
EQUAL_LAMBDAS = (1.0, 1.5, 6.0)  # values above 1/2 for equation 19


def additive(x: Values, k: Indices) -> Values:
    """Add noise at half-step k of (-1/2, 1/2): (2,), (n, 2) -> (n, 2)."""
    return (np.round(2 * LEVELS * x) + 2 * k + 1 - LEVELS) / (2 * LEVELS)


def splitting(x: Values, k: Indices) -> Values:
    """2 x~ - 1/2, split at half-step k of (0, 1); the scale gives the range of x + noise: (2,), (n, 2) -> (n, 2)."""
    numerators = torch.from_numpy(np.round(2 * LEVELS * x).astype(np.int32))
    splits = torch.from_numpy((2 * k + 1).astype(np.int32))
    return 2 * split(numerators, splits, 2 * LEVELS, LEVELS).numpy().astype(np.float64) - 0.5


CORRELATED = np.repeat(np.arange(LEVELS)[:, None], 2, axis=1)
INDEPENDENT = np.indices((LEVELS, LEVELS)).reshape(2, -1).T
PANELS: dict[str, tuple[Callable[[Values, Indices], Values], Indices]] = {
    "independent uniform noise": (additive, INDEPENDENT),
    "correlated uniform noise": (additive, CORRELATED),
    "correlated splitting noise": (splitting, CORRELATED),
}


class JointNoise(TheoryFigure):
    """Noisy versions of two points in the plane under three joint distributions whose marginals have lambda = 1/2.

    The certificates rest on this bound: the total variation distance between the distributions at x and x' is at most
    |x - x'| / (2 lambda). It limits how much any base classifier's class probability can change.
    """

    def __init__(self) -> None:
        super().__init__()

    def draw(self, runs: list[StoredRun]) -> Drawing:
        bound = float(np.abs(X - MOVED).sum()) / (2 * LAM)
        figure, axes = plt.subplots(1, 3, sharey=True, figsize=(WIDTH, 3.5))
        parts, notes = [], []
        quantities: dict[str, dict[str, float]] = {}
        for axis, (name, (noise, indices)) in zip(axes, PANELS.items(), strict=True):
            points, moved = noise(X, indices), noise(MOVED, indices)
            for cloud, mark, color, label in ((points, "|", "C0", "x"), (moved, "_", "C1", "x'")):
                axis.plot(*cloud.T, mark, ms=5, color=color, label=f"noisy {label}")
                parts.append(pd.DataFrame({"panel": name, "of": label, "z1": cloud[:, 0], "z2": cloud[:, 1]}))
            for point, mark, color, symbol, corner in POINTS:
                axis.plot(*point, mark, color=color, mec="k", label=symbol)
                axis.annotate(symbol, point, corner, textcoords="offset points", color=color, bbox=WHITE)
            axis.axline((THRESHOLD, 0), slope=1, color="0.3", ls=":", lw=1, label="class boundary")
            axis.add_patch(Rectangle((0, 0), 1, 1, fill=False, ec="0.3", lw=0.8))
            p, p_moved, apart = probability(points), probability(moved), total_variation(points, moved)
            noises = name.replace(" uniform", "\nuniform").replace(" splitting", "\nsplitting")
            numbers = f"$p(x)$ = {p:.2f}\n$p(x')$ = {p_moved:.2f}\ntotal variation {apart:.2f}"
            axis.set(title=f"{noises}\n{numbers}", xlabel="$z_1$", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axis.set_aspect("equal")
            axis.xaxis.set_major_formatter("{x:g}")
            quantities |= {
                f"p(x) under {name}": {"exact": p},
                f"p(x') under {name}": {"exact": p_moved},
                f"total variation distance over |x - x'| / (2 lambda) under {name}": {"exact": apart / bound},
            }
            if p != p_moved:
                quantity = f"|x - x'| / (2 lambda) over |p(x) - p(x')| under {name}"
                quantities[quantity] = {"exact": bound / abs(p - p_moved)}
            notes.append(
                f"{name}: total variation {apart:.2f}, |p(x) - p(x')| = {abs(p - p_moved):.2f}; bound {bound:.2f}"
            )
        quantities |= _equation_19()
        axes[0].set_ylabel("$z_2$")
        title = f"Is the total variation at most $|x - x'|$ / (2{LAMBDA}) = {bound:.2f}?"
        head(figure, title, "dashes: the noisy versions of each point; dotted: the class boundary")
        return Drawing(figure, pd.concat(parts, ignore_index=True), levine_verdicts("dssn_joint", quantities), notes)


def equal_splits(x: Values, lam: float) -> tuple[Values, Values]:
    """All noisy versions of a point when all pixels share one split position: (2,) -> (n, 2), and the n positions.

    Positions are the half-steps of (0, 2 lambda). 2 lambda is a whole number of steps.
    """
    numerators = torch.from_numpy(np.round(2 * LEVELS * x).astype(np.int32))
    splits = torch.arange(1, round(4 * lam * LEVELS), 2, dtype=torch.int32)
    noisy = split(numerators, splits[:, None].expand(-1, 2).clone(), round(4 * lam * LEVELS), LEVELS)
    return noisy.numpy().astype(np.float64), splits.numpy() / (2 * LEVELS)


def _equation_19() -> dict[str, dict[str, float]]:
    """Equation 19 on a grid, for lambda > 1/2: with equal splits p is a constant plus a function in [0, 1/(2 lambda)].

    p(x) = (2 lambda - 1) / (2 lambda) f(1/2, 1/2) + 1 / (2 lambda) E[f(x~) | s < 1]; the base classifier is z1 > z2.
    """
    off, spread, blank = {}, {}, {}
    ticks = np.arange(LEVELS + 1) / LEVELS
    for lam in EQUAL_LAMBDAS:
        p, right = [], []
        for x in np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2):
            noisy, positions = equal_splits(x, lam)
            f = (noisy[:, 0] > noisy[:, 1]).astype(np.float64)
            p.append(f.mean())
            right.append((2 * lam - 1) / (2 * lam) * 0.0 + f[positions < 1].mean() / (2 * lam))  # f(1/2, 1/2) = 0
        case = f"lambda = {lam:g}"
        off[case] = float(np.max(np.abs(np.array(p) - np.array(right))))
        spread[case] = (max(p) - min(p)) * 2 * lam
        noisy, _ = equal_splits(X, lam)
        blank[case] = float(np.mean((noisy == 0.5).all(axis=1))) * 2 * lam / (2 * lam - 1)
    return {
        "largest difference of the two sides of equation 19": off,
        "range of p under equal splits over 1 / (2 lambda)": spread,
        "share of equal splits that leave 1/2 in every pixel over (2 lambda - 1) / (2 lambda)": blank,
    }


def probability(points: Values) -> float:
    """The probability of the proposition's class, z1 > 0.4 + z2, over equally probable points (n, 2)."""
    return float(np.mean(points[:, 0] - points[:, 1] > THRESHOLD + HALF_STEP / 2))  # differences are whole steps


def total_variation(one: Values, other: Values) -> float:
    """The total variation distance between two lists of n equally probable points, (n, 2) each."""
    places, of = np.unique(np.concatenate([one, other]), axis=0, return_inverse=True)
    first, second = (np.bincount(part, minlength=len(places)) for part in np.split(of.ravel(), 2))
    return 1 - float(np.minimum(first, second).sum()) / len(one)
