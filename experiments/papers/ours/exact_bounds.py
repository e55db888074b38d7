"""Ours: the paper's bounds (Hoeffding, DKW) and exact binomial bounds, on the same draws and by samples needed."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy.stats import binom

from experiments.config.settings import Group
from experiments.papers.kumar2021.medians import CLAIMS, abstention_notes, read_again
from experiments.papers.kumar2021.panels import STYLES
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing, Figure
from experiments.report.text_table import latex, markdown
from experiments.runs.reader import StoredRun, apart_from_noise, noise_matches, sigma_of
from smoothing import CenterSettings, Gaussian
from smoothing.statistics import (
    dkw_least_samples,
    dkw_order_statistic,
    exact_least_samples,
    exact_order_statistic,
    hoeffding_margin,
)

BOUNDS = ("exact", "paper")
PAPER = CenterSettings("paper", 0.05, 0.005, 0.005)  # section 5
COMPARED = ((2.0, 10**6), (1.5, 10**6), (1.0, 10**6), (2.0, 10**4), (1.0, 10**4))  # h, the paper's m
AT_ONCE = 2**16
SAMPLES = np.unique(np.geomspace(20, 10**6, 120).astype(int))
OUTSIDE_MARK = "*"


class ExactBounds(Figure):
    """Median eps_out by either bound on the same draws, the excess of k / m over p against m, and a table of samples.

    R_hat is the k-th smallest of m distances. The paper's bound takes k / m = q = p + sqrt(ln(1/alpha2) / (2m)). The
    exact bound takes the least k that the binomial distribution allows. Equal k / m give equal eps_out up to chance.

    Args:
        experiments: see `Figure`.
        h: ratios eps_in / sigma to compute from each run's draws, at most three.
    """

    def __init__(self, experiments: list[str], h: list[float]) -> None:
        super().__init__(experiments)
        self.h = h[: len(STYLES)]

    def usable(self, run: StoredRun) -> bool:
        types = {group: run.identity.get(group, {}).get("type") for group in ("noise", "certifier")}
        return types == {"noise": "Gaussian", "certifier": "CenterSmoothing"} and noise_matches(run) and bool(run.draws)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        by_sigma = {sigma_of(run): run for run in sorted(runs, key=lambda run: str(run.record.get("started")))}
        read = pd.DataFrame([row for sigma in sorted(by_sigma) for row in self._read(by_sigma[sigma])])
        read = read.sort_values(["h", "bound", "eps_in"], ignore_index=True)
        needed = pd.DataFrame([row for h in self.h for row in excess_mass(h, PAPER)])
        samples = [row for h, m in COMPARED for row in samples_compared(h, m, PAPER)]
        compared, claims = beside_claims(pd.DataFrame(samples))
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.4))
        for h, (color, line, mark) in zip(self.h, STYLES, strict=False):
            for bound in BOUNDS:
                curve, label = read.query("h == @h and bound == @bound"), f"{bound} bound, h = {h:g}"
                face, width, size = (color, 1.6, 4) if bound == "exact" else ("none", 0.8, 6)
                style = {"color": color, "ls": line, "lw": width, "mfc": face}
                _plot(left, curve, style | {"marker": mark, "ms": size, "label": label})
                curve = needed.query("h == @h and bound == @bound")
                right.plot(curve["m"], curve["excess"], **style)
        name, count = runs[0].record["config"]["name"], read["examples"].max()
        left.set(title=f"{name}: the same draws, {count} examples", xlabel="eps_in (l2)", ylabel="median eps_out")
        left.set(xlim=(0, None), ylim=(0, None))
        right.set(title="samples for the same eps_out", xlabel="certification samples m", ylabel="k / m - p")
        right.set(xscale="log", yscale="log")
        handles, labels = left.get_legend_handles_labels()
        title = None if _says_something(read).all() else "on the upper edge: vacuous, or infinite (not certified)"
        figure.legend(handles, labels, loc="outside lower center", ncols=2, title=title)
        table = pd.concat(
            [read.assign(part="draws"), needed.assign(part="samples"), compared.assign(part="compared with the paper")]
        )
        named = read.assign(bound=read["bound"] + " bound")
        notes = [*_ratio_note(read), *abstention_notes(named, ["h", "bound", "eps_in"])]
        return Drawing(figure, table, claims, notes, _texts(compared))

    def _read(self, run: StoredRun) -> list[dict[str, Any]]:
        sigma, chosen = sigma_of(run), run.identity["certifier"]
        metric = Group.from_dict(run.record["config"]["metric"]).build()
        draws = list(run.draws.values())
        largest = metric.largest_distance(draws[0].center.shape)
        rows = []
        for h in self.h:
            for bound in BOUNDS:
                settings = CenterSettings(bound, chosen["delta"], chosen["alpha1"], chosen["alpha2"])
                medians = read_again(run, draws, h * sigma, Gaussian(sigma, run.identity.get("grid")), metric, settings)
                point = {"h": h, "bound": bound, "sigma": sigma, "eps_in": h * sigma, "m": chosen["m"]}
                rows.append(point | medians | {"largest": largest})
        return rows


def mass_needed(h: float, settings: CenterSettings) -> float:
    """Algorithm 2's p = Phi(Phi^-1(1/2 + delta) + h), the mass that the ball around the center must contain at x."""
    return Gaussian(1.0).mass(0.5 + settings.delta, h)


def excess_mass(h: float, settings: CenterSettings) -> list[dict[str, Any]]:
    """For each bound and many m, the excess of k / m over p. No row if m distances certify nothing."""
    p, rows = mass_needed(h, settings), []
    for m in SAMPLES.tolist():
        for bound, order_statistic in (("exact", exact_order_statistic), ("paper", dkw_order_statistic)):
            k = order_statistic(p, m, settings.alpha2)
            if k is not None:
                rows.append({"h": h, "bound": bound, "m": m, "excess": k / m - p})
    return rows


def samples_compared(h: float, m: int, settings: CenterSettings) -> list[dict[str, Any]]:
    """What the paper's bound achieves with m distances, and how few the exact bound needs for no larger eps_out."""
    p = mass_needed(h, settings)
    q, k = p + hoeffding_margin(m, settings.alpha2), exact_order_statistic(p, m, settings.alpha2)
    numbers: dict[str, float | None] = {
        "p": p,
        "paper's q": q,
        "exact k/m": k / m if k else None,
        "least m with k/m <= q": least_samples_below(p, settings.alpha2, q),
        "least m that certifies, exact": exact_least_samples(p, settings.alpha2),
        "least m that certifies, paper": dkw_least_samples(p, settings.alpha2),
    }
    return [{"h": h, "m": m, "quantity": name, "ours": value} for name, value in numbers.items()]


def least_samples_below(p: float, alpha: float, q: float) -> int:
    """The least m for which some k <= q m makes the k-th order statistic an upper bound on the p-quantile.

    A larger k is more likely to be large enough, so only k = floor(q m) is tested. All m are tried, many at once.

    Args:
        p: probability of the quantile, in (0, 1).
        alpha: failure probability of the bound, in (0, 1).
        q: largest k / m; above p, at most 1.
    """
    start = 1
    while True:
        m = np.arange(start, start + AT_ONCE)
        found = m[binom.sf(np.floor(q * m) - 1, m, p) <= alpha]
        for candidate in found.tolist():
            k = exact_order_statistic(p, candidate, alpha)
            if k is not None and k <= q * candidate:
                return int(candidate)
        start += AT_ONCE


def beside_claims(compared: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `samples_compared` with new columns expected and within from claims.csv, and the verdicts."""
    table = compared.assign(said=[f"{row.quantity}, h = {row.h:g}, m = {row.m}" for row in compared.itertuples()])
    case = f"delta = {PAPER.delta:g}, alpha2 = {PAPER.alpha2:g}"
    numbers = table.set_index("said")["ours"].dropna()
    claims = verdicts(CLAIMS, "center_exact_bounds", {said: {case: value} for said, value in numbers.items()})
    known = claims.set_index("quantity")[["paper", "within"]].rename(columns={"paper": "expected"})
    return table.join(known, on="said").drop(columns="said"), claims


def _texts(compared: pd.DataFrame) -> dict[str, str]:
    """The table of samples as Markdown and LaTeX, with the numbers of claims.csv in parentheses."""
    quantities = list(compared["quantity"].unique())
    lines = []
    for (h, m), rows in compared.groupby(["h", "m"], sort=False):
        cells = []
        for row in rows.to_dict("records"):
            cell = _number(row["ours"])
            if not np.isnan(row["expected"]):
                cell += f" ({_number(row['expected'])}){'' if row['within'] else OUTSIDE_MARK}"
            cells.append(cell)
        lines.append([f"{h:g}", f"{m:,}", *cells])
    header = ["h", "the paper's m", *quantities]
    caption = (
        f"Samples needed by the paper's bound and the exact bound, delta = {PAPER.delta:g}, alpha2 = {PAPER.alpha2:g}. "
        f"In parentheses: claims.csv; {OUTSIDE_MARK}: outside its tolerance."
    )
    return {"md": f"{caption}\n\n{markdown(header, lines)}", "tex": latex(header, lines, caption)}


def _number(value: float) -> str:
    return f"{value:.5f}" if value < 1 else f"{value:,.0f}"


def _plot(axis: Axes, curve: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw medians. Those that say nothing are on the upper edge."""
    says = _says_something(curve)
    axis.plot(curve["eps_in"], curve["eps_out"].where(says), **style)
    if not says.all():
        edge = {"ls": "none", "transform": axis.get_xaxis_transform(), "clip_on": False, "label": None}
        axis.plot(curve["eps_in"][~says], np.ones(int((~says).sum())), **(style | edge))


def _says_something(read: pd.DataFrame) -> pd.Series:
    """Whether each median is below the largest possible distance between two outputs."""
    return read["eps_out"] < read["largest"]


def _ratio_note(read: pd.DataFrame) -> list[str]:
    """A note on how much smaller the exact bound's medians are at the points where both have one."""
    wide = read.pivot_table(index=["h", "eps_in"], columns="bound", values="eps_out").reindex(columns=list(BOUNDS))
    ratio = (wide["exact"] / wide["paper"])[np.isfinite(wide).all(axis=1)]
    if ratio.empty:
        return ["the paper's bound certifies nothing with this number of samples"]
    return [
        f"median eps_out of the exact bound over the paper's on the same draws: {ratio.min():.3f} to {ratio.max():.3f} "
        f"at the {len(ratio)} points where both have one"
    ]
