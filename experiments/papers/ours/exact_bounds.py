"""Ours: what each step from center smoothing to balanced center smoothing is worth, from the same draws."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.papers.kumar2021.calibrated import CalibratedDraws
from experiments.papers.kumar2021.panels import abstained, center_of, plot_medians
from experiments.papers.ours.samples_needed import (
    COMPARED,
    beside_claims,
    excess_mass,
    samples_compared,
    table_of,
)
from experiments.papers.ours.samples_needed import PAPER as SECTION_5
from experiments.report.claims import all_rows, verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, Figure
from experiments.report.layout import head, mosaic
from experiments.report.left_out import NO_DRAWS, OLDER, another, not_in, trained_otherwise
from experiments.report.symbols import IN, NORMS, OUT, SIGMA, sigma_text
from experiments.report.text_table import Table, texts
from experiments.report.titles import examples_text, title_of
from experiments.runs.reader import StoredRun, apart_from_noise, experiment_of, oldest_first, sigma_of
from smoothing import reach

CLAIMS = Path(__file__).with_name("claims.csv")
HALF = 0.5
PAPER, EXACT, EQUAL, BALANCED = "the paper's bounds", "exact bounds", "balanced, q = 1/2", "balanced, calibrated q"
BOUNDS = {PAPER: "paper", EXACT: "exact"}
STEPS: dict[str, dict[str, Any]] = {
    PAPER: {"color": "C3", "ls": ":", "marker": "^", "mfc": "white"},
    EXACT: {"color": "C1", "ls": "--", "marker": "s", "mfc": "white"},
    EQUAL: {"color": "C2", "ls": "-.", "marker": "D"},
    BALANCED: {"color": "C0", "ls": "-", "marker": "o"},
}
MOST = 5  # curves in a panel
ASIDE = 0.07  # horizontal shift in h, so that marks do not overlap
POINTS = 25  # wanted output radii, and input radii of center smoothing, in the third panel
SHOWN = {EQUAL: "balanced, $q$ = 1/2", BALANCED: "balanced, calibrated $q$"}


class ExactBounds(Figure):
    """Median eps_out after each step against h = eps_in / sigma; of every q; the certified input radius; samples.

    The steps: the paper's bounds (Hoeffding, DKW); exact bounds; a ball of fixed radius rho that holds q = 1/2; the
    calibrated q and rho. All certificates of a run come from the same draws, without the examples of its calibration.
    A noise level without a calibration has the first two steps alone. The table has all noise levels. The drawing has
    one. It is in no paper.

    Args:
        experiments: see `Figure`. Their q and rho are in conf/calibration/<experiment>.yaml.
        h: ratios eps_in / sigma.
        sigma: noise level to draw; the nearest calibrated one is taken, or the nearest one if none is calibrated.
    """

    def __init__(self, experiments: list[str], h: list[float], sigma: float = 0.2) -> None:
        super().__init__(experiments)
        self.h, self.sigma = h[:MOST], sigma

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", "CenterSmoothing") or another(run, "noise", "Gaussian")
        return kind or trained_otherwise(run) or ("" if run.draws else NO_DRAWS)

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in(list(_latest(runs).values()), runs, OLDER)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        known = {sigma: CalibratedDraws(run) for sigma, run in sorted(_latest(runs).items())}
        steps = pd.DataFrame([row for of in known.values() for row in steps_of(of, self.h)])
        drawn = min(known, key=lambda sigma: (known[sigma].q is None, abs(sigma - self.sigma)))
        shown, here = known[drawn], steps[steps["sigma"] == drawn]
        largest = shown.metric.largest_distance(shown.draws[0].center.shape)
        tried, reached = tried_of(shown), reached_of(shown, max(self.h), largest_shown(here, largest))
        needed = pd.DataFrame([row for h in self.h for row in excess_mass(h, SECTION_5)])
        samples = [row for h, m in COMPARED for row in samples_compared(h, m, SECTION_5)]
        compared, claims = beside_claims(pd.DataFrame(samples))
        figure, axes = mosaic(["AA", "BC", "DD"], 2.4)
        curves = _plot_steps(axes["A"], here, largest)
        axes["A"].set(title="output radius, from the same samples", ylabel=f"median {OUT}", xticks=self.h)
        _plot_tried(axes["B"], tried, shown.entry)
        _plot_reached(axes["C"], reached)
        needing = _plot_needed(axes["D"], needed)
        title = f"{title_of(experiment_of(shown.run))}, {sigma_text(drawn)}{center_of([shown.run])}"
        head(figure, title, f"{examples_text(here['examples'])}; on the upper edge: vacuous, or not certified")
        name_curves(figure, [(axes["A"], curves), (axes["D"], needing)])
        parts = {"steps": steps, "q": tried, "reach": reached, "samples": needed, "compared with the paper": compared}
        table = pd.concat([part.assign(part=name) for name, part in parts.items() if len(part)], ignore_index=True)
        claims = all_rows(verdicts(CLAIMS, "center_exact_bounds", quantities(steps)), claims)
        tables = [steps_table(here, drawn), table_of(compared)]
        return Drawing(figure, table, claims, [*_left_out(known), *_worth(steps), *_shares(steps)], texts(tables))


def _latest(runs: list[StoredRun]) -> dict[float, StoredRun]:
    """The latest run of each sigma."""
    return {sigma_of(run): run for run in oldest_first(runs)}


def steps_of(draws: CalibratedDraws, h: list[float]) -> list[dict[str, Any]]:
    """Medians after each step, for each h. No step whose q the calibration does not have."""
    rows = []
    balanced = {EQUAL: draws.settings(HALF), BALANCED: draws.settings(draws.q)}
    for ratio in h:
        eps = ratio * draws.noise.sigma
        point = {"sigma": draws.noise.sigma, "m": draws.own["m"], "h": ratio, "eps_in": eps}
        rows += [point | {"step": step} | draws.medians(eps, bound) for step, bound in BOUNDS.items()]
        for step, settings in balanced.items():
            if settings is not None:
                chosen = {"step": step, "q": settings.q, "rho": settings.rho}
                rows.append(point | chosen | draws.balanced(eps, settings))
    return rows


def tried_of(draws: CalibratedDraws) -> pd.DataFrame:
    """Median eps_out of the calibration for each q that it tried and each of its eps."""
    rows = [
        {"sigma": draws.noise.sigma, "q": row["q"], "rho": row["rho"], "eps_in": eps, "eps_out": out}
        for row in draws.entry.get("by_q") or []
        for eps, out in zip(draws.entry["eps"], row["median_eps_out"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["sigma", "q", "rho", "eps_in", "eps_out"])


def reached_of(draws: CalibratedDraws, h: float, most: float) -> pd.DataFrame:
    """The input radius for a wanted eps_out up to `most`: balanced, and center smoothing with either bound.

    Balanced: the median of `reach`. Center smoothing: the largest eps, up to that of h, whose median eps_out is at
    most the wanted one. Only wanted radii at which there is an input radius.
    """
    eps = np.linspace(0, h * draws.noise.sigma, POINTS).tolist()
    rows = [(step, draws.medians(radius, bound)["eps_out"], radius) for step, bound in BOUNDS.items() for radius in eps]
    if (settings := draws.settings(draws.q)) is not None:
        checked = draws.checked(settings)
        for wanted in np.linspace(0, most, POINTS).tolist():
            radii = sorted(reach(each, wanted, draws.noise, draws.metric, settings) for each in checked)
            rows.append((BALANCED, wanted, radii[(len(radii) - 1) // 2]))  # infinite eps_out is the upper middle one
    found = pd.DataFrame(rows, columns=["step", "eps_out", "eps_in"]).assign(sigma=draws.noise.sigma)
    return found[(found["eps_out"] <= most) & (found["eps_in"] >= 0)]


def largest_shown(steps: pd.DataFrame, largest: float) -> float:
    """The largest median eps_out that says something; 0 if there is none."""
    says = steps["eps_out"][steps["eps_out"] < largest]
    return float(says.max()) if len(says) else 0.0


def quantities(steps: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The quantities of claims.csv: the largest ratio at any noise level, for each h. Infinite by infinite: none."""
    wide = _wide(steps)
    compared = {
        "largest median eps_out with exact bounds over that with the paper's bounds": (EXACT, PAPER),
        "largest median eps_out of the calibrated balanced certificate over that with exact bounds": (BALANCED, EXACT),
        "largest median eps_out of the calibrated balanced certificate over that with q = 1/2": (BALANCED, EQUAL),
    }
    found = {}
    for name, (after, before) in compared.items():
        with np.errstate(invalid="ignore"):
            worst = (wide[after] / wide[before]).dropna().groupby("h").max()
        found[name] = {f"h = {h:g}": float(ratio) for h, ratio in worst.items()}
    return found


def _wide(steps: pd.DataFrame) -> pd.DataFrame:
    return steps.pivot_table(index=["h", "sigma"], columns="step", values="eps_out").reindex(columns=list(STEPS))


def steps_table(here: pd.DataFrame, sigma: float) -> Table:
    """Median eps_out after each step, with the share that abstained, as title, header and lines of text."""
    there = [step for step in STEPS if (here["step"] == step).any()]
    lines = []
    for h, rows in here.groupby("h"):
        cells = rows.set_index("step").loc[there]
        lines.append([f"{h:g}", *(f"{row.eps_out:.4g} ({row.abstained:.0%})" for row in cells.itertuples())])
    title = f"Median eps_out after each step at sigma = {sigma:g}. In parentheses: the share that abstained"
    return title, ["h", *there], lines


def _plot_steps(axis: Axes, here: pd.DataFrame, largest: float) -> list[Curve]:
    """Draw eps_out after each step, and return the curves with their names."""
    drawn = []
    for number, (step, style) in enumerate(STEPS.items()):
        curve, aside = here[here["step"] == step], ASIDE * (number - 1.5)
        says = curve["eps_out"].where(curve["eps_out"] < largest, np.inf)
        plot_medians(axis, curve["h"] + aside, says, style | {"label": SHOWN.get(step, step)})
        drawn.append(Curve((curve["h"] + aside).to_numpy(), says.to_numpy(), SHOWN.get(step, step), style["color"]))
    axis.set(xlabel=f"$h$ = {IN} / {SIGMA}", ylim=(0, None))
    return drawn


def _plot_tried(axis: Axes, tried: pd.DataFrame, entry: dict[str, Any]) -> None:
    """Draw eps_out of the calibration against q, one curve for each eps, which is written at its end."""
    axis.set(title="calibration, other images", xlabel="mass $q$ of the ball", ylabel=f"median {OUT}")
    if tried.empty:
        axis.text(0.5, 0.5, "no calibration" if not entry else "one q tried", transform=axis.transAxes, ha="center")
        return
    axis.axvline(entry["q"], color="0.5", lw=0.8)
    axis.text(entry["q"], 1, "chosen ", transform=axis.get_xaxis_transform(), va="top", ha="right", color="0.4")
    for (eps, curve), line in zip(tried.groupby("eps_in"), LINES[:MOST], strict=False):
        finite = curve[np.isfinite(curve["eps_out"])]
        axis.plot(finite["q"], finite["eps_out"], ls=line, color="C0")
        if len(finite):
            at, h = finite[["q", "eps_out"]].iloc[-1].tolist(), eps / finite["sigma"].iloc[0]
            axis.annotate(f"$h$ = {h:g}", at, (3, 0), textcoords="offset points", va="center", color="C0")
    axis.margins(y=0.12)
    axis.set(xlim=(HALF - 0.02, 1.22), xticks=np.linspace(HALF, 1, 6)[::2])


def _plot_reached(axis: Axes, reached: pd.DataFrame) -> None:
    for step, curve in reached.groupby("step", sort=False):
        axis.plot(curve["eps_out"], curve["eps_in"], **(STEPS[str(step)] | {"marker": ""}))
    axis.set(title="certified input radius", xlabel=f"wanted {OUT}", ylabel=f"{IN} ({NORMS['l2']})")
    axis.set(xlim=(0, None), ylim=(0, None))


def _plot_needed(axis: Axes, needed: pd.DataFrame) -> list[Curve]:
    """Draw k / m - p against m, and return the curves with their names. The paper's curves of all h coincide."""
    drawn = []
    for (h, bound), curve in needed.groupby(["h", "bound"]):
        step = PAPER if bound == "paper" else EXACT
        axis.plot(curve["m"], curve["excess"], **(STEPS[step] | {"marker": ""}))
        name = f"exact bound, $h$ = {h:g}" if step == EXACT else f"{PAPER}, any $h$"
        drawn.append(Curve(curve["m"].to_numpy(), curve["excess"].to_numpy(), name, STEPS[step]["color"]))
    axis.set(title=f"the same {OUT} from fewer samples", xlabel="certification samples $m$")
    axis.set(ylabel="$k / m - p$", xscale="log", yscale="log")
    return list({curve.name: curve for curve in reversed(drawn)}.values())  # the longest of those with a name


def _left_out(known: dict[float, CalibratedDraws]) -> list[str]:
    """Notes on what is not in the table."""
    without = [f"{sigma:g}" for sigma, of in known.items() if of.q is None]
    notes = [f"no calibration, so only the bounds of center smoothing: sigma = {', '.join(without)}"] if without else []
    fewer = [f"{sigma:g}" for sigma, of in known.items() if of.q is not None and of.settings(HALF) is None]
    return notes + ([f"the calibration has no rho for q = 1/2: sigma = {', '.join(fewer)}"] if fewer else [])


def _worth(steps: pd.DataFrame) -> list[str]:
    """For each h, what exact bounds and the calibrated balanced certificate change, where both medians are finite."""
    wide, notes = _wide(steps), []
    for h, rows in wide.groupby("h"):
        for after, before in ((EXACT, PAPER), (BALANCED, EXACT)):
            both = rows[np.isfinite(rows[[before, after]]).all(axis=1)]
            ratio, alone = both[after] / both[before], np.isfinite(rows[after]) & ~np.isfinite(rows[before])
            said = (
                f"{ratio.min():.3f} to {ratio.max():.3f} at {len(ratio)} noise levels"
                if len(ratio)
                else "none has both"
            )
            notes.append(f"h = {h:g}: median eps_out, {after} over {before}: {said}; alone at {alone.sum()}")
    return notes


def _shares(steps: pd.DataFrame) -> list[str]:
    """How often each step abstained. The table has the share that failed for each h."""
    said = [f"{step} {share}" for step, share in abstained(steps, "step").items()]
    return [f"abstained (counts as infinite): {'; '.join(said)}"]
