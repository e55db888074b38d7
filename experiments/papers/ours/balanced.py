"""Ours: balanced center smoothing beside center smoothing, each with its own runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.kumar2021.curves import MedianCurves
from experiments.papers.kumar2021.medians import METRICS, abstention_notes, by_panel, space_of
from experiments.papers.kumar2021.panels import STYLES, legend, panel_axes, plot_medians
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing
from experiments.runs.reader import StoredRun, sigma_of
from smoothing import Gaussian
from smoothing.center_guarantee import BOUNDS

CLAIMS = Path(__file__).with_name("claims.csv")
OURS, PAPERS = "balanced", "center smoothing"
CERTIFIERS = {"CenterSmoothing": PAPERS, "CenterSmoothingHD": PAPERS, "BalancedCenterSmoothing": OURS}
DIGITS = 3  # significant digits of eps_in, because users round sigma = eps_in / h
IN, OUT = r"$\varepsilon_\mathrm{in}$", r"$\varepsilon_\mathrm{out}$"


class Balanced(MedianCurves):
    """Median eps_out against eps_in, two curves for each h = eps_in / sigma: center smoothing, and balanced.

    A panel shows the runs of one data set and base function, if some are balanced. The training of the two may differ;
    a note says so.

    Args:
        experiments: see `Figure`.
        metric: see `CenterFigure`.
        h: the ratios to draw, if the runs' tables have them; at most three.
    """

    certifiers = tuple(CERTIFIERS)

    def __init__(self, experiments: list[str], metric: str, h: list[float]) -> None:
        super().__init__(experiments, metric, h, claims="balanced")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {name: value for name, value in super().setting(run).items() if name not in ("certifier", "training")}

    def label(self, run: StoredRun, h: float) -> str:
        return f"{certificate_of(run)}, h = {h:g}"

    def enough(self, runs: list[StoredRun]) -> bool:
        return bool(with_balanced(runs))

    def draw(self, runs: list[StoredRun]) -> Drawing:
        grouped = with_balanced(runs)
        table = self._table(grouped)
        figure, axes = panel_axes(len(grouped))
        for axis, (title, group) in zip(axes, grouped.items(), strict=True):
            shown = table[table["panel"] == title]
            for h, (color, _, mark) in zip(self.h, STYLES, strict=False):
                for certificate, line, face in ((PAPERS, "--", "white"), (OURS, "-", color)):
                    curve = shown[(shown["h"] == h) & (shown["certificate"] == certificate)]
                    style = {"color": color, "ls": line, "marker": mark, "mfc": face}
                    if len(curve):
                        label = f"{certificate}, $h$ = {h:g}"
                        plot_medians(axis, curve["eps_in"], curve["eps_out"], style | {"label": label})
            axis.set(title=title, xlabel=f"{IN} (l2, {space_of(group[0])})")
            axis.set(xlim=(0, 1.05 * shown["eps_in"].max()), ylim=(0, None))
        for axis in axes[::2]:
            axis.set_ylabel(f"median {OUT}\n({METRICS.get(self.metric, self.metric)})")
        legend(figure, table)
        wide = side_by_side(table)
        claims = verdicts(CLAIMS, self.claims, _quantities(wide))
        notes = [*_ratio_notes(wide), *(note for title, group in grouped.items() for note in self._group(title, group))]
        return Drawing(figure, table, claims, notes + abstention_notes(table, ["panel", "curve", "eps_in"]))

    def _points(self, run: StoredRun) -> pd.DataFrame:
        own = run.identity["certifier"]
        return super()._points(run).assign(certificate=certificate_of(run), m=own.get("m"), bound=own.get("bound"))

    def _group(self, title: str, group: list[StoredRun]) -> list[str]:
        """What the comparison in a panel does not keep equal, and the h that only balanced center smoothing has."""
        papers, ours = ([run for run in group if certificate_of(run) == name] for name in (PAPERS, OURS))
        if not papers:
            return [f"{title}: there is no run of center smoothing"]
        notes = [f"{title}: {difference}" for difference in differences(papers, ours)]
        for h in self.h:
            if not any(np.isclose(self._points(run)["h"], h).any() for run in papers):
                able = sum(can_certify(run, h) for run in papers)
                said = f"center smoothing has no rows at h = {h:g}"
                notes.append(f"{title}: {said}; with their m, {able} of {len(papers)} runs could certify")
        return notes


def certificate_of(run: StoredRun) -> str:
    return CERTIFIERS[run.identity["certifier"]["type"]]


def with_balanced(runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
    """The panels of `by_panel` that have a run of balanced center smoothing."""
    panels = by_panel(runs).items()
    return {title: group for title, group in panels if OURS in map(certificate_of, group)}


def differences(papers: list[StoredRun], ours: list[StoredRun]) -> list[str]:
    """The settings of training and sampling that differ between the two kinds of runs, apart from the noise."""
    found = []
    for part, names in (("training", None), ("certifier", ("n", "m", "bound", "center"))):
        settings = [[run.identity.get(part, {}) for run in runs] for runs in (papers, ours)]
        known = names or sorted({name for runs in settings for own in runs for name in own} - {"noise", "weights"})
        for name in known:
            values = [sorted({str(own.get(name)) for own in runs}) for runs in settings]
            if values[0] != values[1]:
                said = [" or ".join(each) for each in values]
                found.append(f"{part}.{name} differs: {said[0]} for center smoothing, {said[1]} for balanced")
    return found


def can_certify(run: StoredRun, h: float) -> bool:
    """Whether m distances can bound the quantile that center smoothing reads at eps_in = h sigma."""
    own, noise = run.identity["certifier"], Gaussian(sigma_of(run), run.identity.get("grid"))
    p = noise.mass(0.5 + own["delta"], h * noise.sigma)
    return BOUNDS[own.get("bound", "paper")].order_statistic(p, own["m"], own.get("alpha2", 0.005)) is not None


def side_by_side(table: pd.DataFrame) -> pd.DataFrame:
    """Median eps_out of both certificates, for each panel, h and input radius that both have."""
    typed = table.assign(eps_in=[float(f"{eps:.{DIGITS}g}") for eps in table["eps_in"]])
    wide = typed.pivot_table(index=["panel", "h", "eps_in"], columns="certificate", values="eps_out", sort=False)
    return wide.reindex(columns=[PAPERS, OURS]).dropna()


def _ratios(wide: pd.DataFrame) -> "pd.Series[float]":
    with np.errstate(invalid="ignore"):
        return (wide[OURS] / wide[PAPERS]).dropna()


def _quantities(wide: pd.DataFrame) -> dict[str, dict[str, float]]:
    worst = _ratios(wide).groupby(["panel", "h"], sort=False).max()
    name = "largest median eps_out over that of center smoothing at the same input radius and h"
    return {name: {f"{panel}, h = {h:g}": float(ratio) for (panel, h), ratio in worst.items()}}


def _ratio_notes(wide: pd.DataFrame) -> list[str]:
    return [
        f"{panel}, h = {h:g}: median eps_out over that of center smoothing: {ratios.min():.3f} to {ratios.max():.3f}, "
        f"at {len(ratios)} common input radii"
        for (panel, h), ratios in _ratios(wide).groupby(["panel", "h"], sort=False)
    ]
