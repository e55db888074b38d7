"""Proposition 6 and lemma 5 of Cohen et al. (appendix B): how loose theorem 1 can be for one classifier. No runs."""

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike

from experiments.papers.cohen2019.results import CLAIMS
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, TheoryFigure
from experiments.report.layout import head, panels
from experiments.report.symbols import NORMS, P_A, SIGMA, TAU
from experiments.runs.reader import StoredRun
from smoothing import SettingError
from smoothing.radii import Values, cohen_radius

POINTS = 601
REACH = 6.0  # half-width of the axis, in sigma
MOST_SHOWN = 4.0  # radius / sigma
INTERVALS = 41  # numbers of ends and of widths at which lemma 5 is checked


class Looseness(TheoryFigure):
    """A classifier on the line that returns B only on [-t, t]. Its smoothed classifier returns A everywhere.

    The smoothed classifier is therefore robust at every radius, but theorem 1 certifies only tau at 0.

    Args:
        tau: the radii that theorem 1 certifies at 0, divided by sigma; one curve each.
    """

    def __init__(self, tau: list[float]) -> None:
        super().__init__()
        self.tau = tau

    def draw(self, runs: list[StoredRun]) -> Drawing:
        x = np.linspace(-REACH, REACH, POINTS)
        figure, axes = panels(2, columns=1, sharex=True)
        parts, least, certified = [], {}, {}
        drawn: tuple[list[Curve], list[Curve]] = ([], [])
        for i, tau in enumerate(self.tau):
            p_a = probability_of_a(x, tau)
            radius = np.array([cohen_radius(1.0, float(min(p, np.nextafter(1, 0)))) for p in p_a])
            name = f"{TAU} = {tau:g}{SIGMA}"
            for axis, curves, values in zip(axes, drawn, (p_a, radius), strict=True):
                axis.plot(x, values, ls=LINES[i % len(LINES)], color=f"C{i}", label=name)
                seen = values <= MOST_SHOWN
                curves.append(Curve(x[seen], values[seen], name, f"C{i}"))
            parts.append(pd.DataFrame({"tau": tau, "x": x, "p_a": p_a, "certified_radius": radius}))
            case = f"tau = {tau:g} sigma"
            least[case] = 0.5 - float(p_a.min())
            certified[case] = float(cohen_radius(1.0, float(probability_of_a(0.0, tau)))) / tau
        axes[0].axhline(0.5, color="0.5", lw=0.8)
        drawn[0].append(Curve(x[[0, -1]], np.array([0.5, 0.5]), "1/2: below it, the class would be B", "0.4"))
        axes[0].set(ylabel=f"{P_A}: probability of class A", ylim=(0.45, 1.01))
        axes[1].set(xlabel=f"$x$ / {SIGMA}", ylabel=f"certified {NORMS['l2']} radius / {SIGMA}", ylim=(0, MOST_SHOWN))
        head(figure, f"Class A wins everywhere; at 0, only {TAU} is certified")
        name_curves(figure, zip(axes, drawn, strict=True))
        quantities = {
            "1/2 less the least probability of class A at any x": least,
            "radius that theorem 1 certifies at 0 over tau": certified,
            "largest mass of an interval over that of the centered one of its width": {"standard normal": lemma_5()},
        }
        note = "the smoothed classifier returns A at every x, so its true radius is infinite"
        return Drawing(
            figure, pd.concat(parts, ignore_index=True), verdicts(CLAIMS, "cohen_looseness", quantities), [note]
        )


def half_width(tau: float, sigma: float = 1.0) -> float:
    """The t of proposition 6: -sigma Phi^-1(Phi(tau / sigma) / 2), > 0.

    The classifier that returns B on [-t, t] and A elsewhere has p_A(0) = Phi(tau / sigma), so theorem 1 certifies tau
    at 0.

    Args:
        tau: certified radius, > 0, in the units of sigma.
        sigma: noise level of the Gaussian noise, > 0.

    Raises:
        SettingError: tau or sigma is not a positive number.
    """
    for name, value in (("tau", tau), ("sigma", sigma)):
        if not 0 < value < float("inf"):
            raise SettingError(f"{name}: expected a positive number, got {value}")
    norm = scipy.stats.norm
    return float(-sigma * norm.ppf(norm.cdf(tau / sigma) / 2))


def probability_of_a(x: ArrayLike, tau: float, sigma: float = 1.0) -> Values:
    """P[x + N(0, sigma^2) is outside of [-t, t]], t = `half_width`: any shape, least at 0 (lemma 5)."""
    t, at = half_width(tau, sigma), np.abs(np.asarray(x, dtype=np.float64))
    norm = scipy.stats.norm
    return norm.sf((t + at) / sigma) + norm.cdf((at - t) / sigma)


def interval_mass(low: ArrayLike, high: ArrayLike) -> Values:
    """P[low <= N(0, 1) <= high] for low <= high. Any shapes; accurate in both tails."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    norm = scipy.stats.norm
    return np.where(low > 0, norm.sf(low) - norm.sf(high), norm.cdf(high) - norm.cdf(low))


def lemma_5() -> float:
    """The largest ratio of the mass of [low, low + w] to that of [-w/2, w/2], on a grid that includes low = -w/2.

    Lemma 5 says that it is 1: among intervals of one width, the centered one has the most mass under N(0, 1).
    """
    width = np.linspace(0, 8, INTERVALS)[1:, None]
    low = -width / 2 + np.linspace(-6, 6, INTERVALS)
    return float(np.max(interval_mass(low, low + width) / interval_mass(-width / 2, width / 2)))
