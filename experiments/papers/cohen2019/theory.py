"""Figures 5 and 16 of Cohen et al.: what the bounds and the sample size allow for any network. No runs."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from experiments.papers.cohen2019.results import BOUNDS, CLAIMS
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, TheoryFigure
from experiments.report.layout import head, mosaic
from experiments.report.symbols import ALPHA, BETA, NORMS, P_A, SIGMA
from experiments.runs.reader import StoredRun
from smoothing.bisection import MOST, least_above
from smoothing.radii import (
    Values,
    largest_radius,
    least_samples,
    lecuyer_radius,
    lecuyer_radius_at,
    li_radius,
    li_radius_at,
)

TITLES = (
    "the largest certified radius, by bound",
    f"Lecuyer et al., by {BETA} (16a)",
    f"Li et al., by {ALPHA} (16b)",
    f"Lecuyer et al., against {BETA} (16c)",
    f"Li et al., against {ALPHA} (16d)",
)
Panel = tuple[str, str, Values, dict[str, Values]]  # its name in the table, the variable, its values, the curves
XLABELS = {"p_a": f"{P_A}: probability of the top class", "beta": BETA, "alpha": ALPHA}


class Bounds(TheoryFigure):
    """Figs. 5 left and 16: radius / sigma against p_A by three bounds, and the effect of two bounds' parameters.

    Args:
        largest_p_a: right end of the axes; p_B = 1 - p_A throughout.
        betas: values of Lecuyer et al.'s beta, one curve each.
        parameters: values of Li et al.'s alpha, one curve each.
        p_a: values of p_A, one curve each against either parameter.
    """

    def __init__(self, largest_p_a: float, betas: list[float], parameters: list[float], p_a: list[float]) -> None:
        super().__init__()
        self.largest_p_a, self.betas, self.parameters, self.p_a = largest_p_a, betas, parameters, p_a

    def panels(self) -> list[Panel]:
        """The panels in the order of `TITLES`."""
        p_a = np.linspace(0.5, self.largest_p_a, 201)[1:]
        orders, betas = 1 + np.geomspace(0.01, 50, 301), np.linspace(0, 1, 301)[1:]
        bounds = {name: _each(bound, p_a) for name, bound in BOUNDS.items()}
        lecuyer = {f"beta = {b:g}": np.array([_lecuyer_at(p, b) for p in p_a]) for b in self.betas}
        li = {f"alpha = {a:g}": np.array([_li_at(p, a) for p in p_a]) for a in self.parameters}
        by_beta = {f"p_A = {p:g}": _lecuyer_at(p, betas) for p in self.p_a}
        by_order = {f"p_A = {p:g}": _li_at(p, orders) for p in self.p_a}
        return [
            ("bounds", "p_a", p_a, bounds),
            ("Lecuyer et al.'s parameter beta (16a)", "p_a", p_a, lecuyer | {"best beta": _each(lecuyer_radius, p_a)}),
            ("Li et al.'s parameter alpha (16b)", "p_a", p_a, li | {"best alpha": _each(li_radius, p_a)}),
            ("Lecuyer et al.'s bound against beta (16c)", "beta", betas, by_beta),
            ("Li et al.'s bound against alpha (16d)", "alpha", orders, by_order),
        ]

    def draw(self, runs: list[StoredRun]) -> Drawing:
        panels = self.panels()
        figure, grid = mosaic(["AA", "BC", "DE"], 2.3)
        axes = list(grid.values())
        parts = []
        drawn: list[list[Curve]] = []
        for axis, (title, variable, x, curves) in zip(axes, panels, strict=True):
            drawn.append([])
            for i, (name, radius) in enumerate(curves.items()):
                axis.plot(x, radius, ls=LINES[i % len(LINES)], color=f"C{i}", label=_symbols(name))
                drawn[-1].append(Curve(x, radius, _symbols(name), f"C{i}"))
                parts.append(
                    pd.DataFrame(
                        {"panel": title, "curve": name, "variable": variable, "x": x, "radius": radius}
                    ).dropna()
                )
            axis.set(xlabel=XLABELS[variable], ylim=(0, None))
        for axis, title in zip(axes, TITLES, strict=True):
            axis.set_title(title)
        for axis in (axes[0], axes[1], axes[3]):
            axis.set_ylabel(f"{NORMS['l2']} radius / {SIGMA}")
        axes[4].set_xscale("log")
        name_curves(figure, zip(axes, drawn, strict=True))
        table = pd.concat(parts, ignore_index=True)
        _, _, p_a, ours = panels[0]
        case = f"p_A from {p_a[0]:g} to {self.largest_p_a:g}"
        quantities = {
            f"largest radius of {name} over Cohen et al.'s": {case: float((ours[name] / ours["Cohen et al."]).max())}
            for name in ("Lecuyer et al.", "Li et al.")
        }
        return Drawing(figure, table, verdicts(CLAIMS, "cohen_bounds", quantities), [])


def _symbols(name: str) -> str:
    """The name of a curve, with Greek letters."""
    return name.replace("beta", BETA).replace("alpha", ALPHA).replace("p_A", P_A)


def _each(bound: Callable[[float, float], float], probabilities: Values) -> Values:
    return np.array([bound(1.0, float(p)) for p in probabilities])


def _lecuyer_at(p_a: float, b: Values | float) -> Values:
    """Lecuyer et al.'s radius. NaN where beta gives none, above ln(p_A / p_B) / 2."""
    b = np.asarray(b, dtype=np.float64)
    most = np.log(p_a / (1 - p_a)) / 2
    return np.where(b < most, lecuyer_radius_at(1.0, p_a, 1 - p_a, np.minimum(b, most)), np.nan)


def _li_at(p_a: float, a: Values | float) -> Values:
    return li_radius_at(1.0, p_a, 1 - p_a, np.asarray(a))


class Samples(TheoryFigure):
    """Fig. 5 right: Phi^-1(alpha^(1/n)), the largest radius that n samples certify divided by sigma, against n.

    Args:
        alpha: failure probability of a certificate.
        largest_n: right end of the axis.
    """

    def __init__(self, alpha: float, largest_n: int) -> None:
        super().__init__()
        self.alpha, self.largest_n = alpha, largest_n

    def draw(self, runs: list[StoredRun]) -> Drawing:
        least = least_samples(self.alpha)
        samples = np.unique(np.geomspace(least, self.largest_n, 301).round().astype(int))
        radius = [largest_radius(1.0, int(n), self.alpha) for n in samples]
        four = _samples_for(4.0, self.alpha)
        figure, axis = plt.subplots()
        axis.plot(samples, radius, label="largest radius")
        axis.plot([four], [4.0], "o", color="C1", label="4 sigma")
        axis.axvline(least, color="0.5", ls=":", lw=0.8)
        offset: dict[str, Any] = {"textcoords": "offset points", "va": "bottom"}
        needs = f"4{SIGMA} needs {four:,} samples"
        axis.annotate(needs, (four, 4.0), (-4, 4), ha="right", color="C1", **offset)
        axis.annotate(f"{least} samples: the fewest that certify", (least, 0), (16, 4), color="0.4", **offset)
        axis.set(xscale="log", xlabel="samples $n$", ylabel=f"largest {NORMS['l2']} radius / {SIGMA}", ylim=(0, None))
        head(figure, f"The radius if all $n$ samples agree, {ALPHA} = {self.alpha:g}")
        quantity = {"log10 of the samples that 4 sigma needs": {f"alpha = {self.alpha:g}": float(np.log10(four))}}
        table = pd.DataFrame({"n": samples, "radius": radius, "alpha": self.alpha})
        return Drawing(figure, table, verdicts(CLAIMS, "cohen_samples", quantity), [f"4 sigma needs {four:,} samples"])


def _samples_for(radius: float, alpha: float) -> int:
    """The least n whose largest radius, for sigma = 1, is at least `radius`, which one sample does not reach."""
    found = least_above(1, lambda n: largest_radius(1.0, n, alpha) >= radius, MOST)
    assert found is not None
    return found
