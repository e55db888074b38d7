"""Ours: what each step from center smoothing to balanced center smoothing is worth, from the same draws."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.axes import Axes

from experiments.config.settings import Group
from experiments.papers.kumar2021.medians import METRICS, abstention_notes, medians_of_certificates, read_again
from experiments.papers.kumar2021.panels import plot_medians
from experiments.report.claims import verdicts
from experiments.report.figure import CONF, LINES, Drawing, Figure
from experiments.runs.reader import StoredRun, apart_from_noise, experiment_of, noise_matches, sigma_of
from smoothing import BalancedSettings, CenterDraws, CenterSettings, Gaussian, Metric, balanced_certificate, reach
from smoothing import rechecked as checked_with

CLAIMS = Path(__file__).with_name("claims.csv")
CALIBRATIONS = CONF / "calibration"
HALF = 0.5
PAPER, EXACT, EQUAL, BALANCED = "the paper's bounds", "exact bounds", "balanced, q = 1/2", "balanced, calibrated q"
STEPS: dict[str, dict[str, Any]] = {
    PAPER: {"color": "C3", "ls": ":", "marker": "^", "mfc": "white"},
    EXACT: {"color": "C1", "ls": "--", "marker": "s", "mfc": "white"},
    EQUAL: {"color": "C2", "ls": "-.", "marker": "D"},
    BALANCED: {"color": "C0", "ls": "-", "marker": "o"},
}
MOST = 5  # curves in a panel
ASIDE = 0.07  # horizontal shift in h, so that marks do not overlap
POINTS = 25  # wanted output radii, and input radii of center smoothing, in the third panel
IN, OUT = r"$\varepsilon_\mathrm{in}$", r"$\varepsilon_\mathrm{out}$"


class BalancedSteps(Figure):
    """Median eps_out after each step against h = eps_in / sigma; eps_out of every q; and the certified input radius.

    The steps: the paper's bounds (Hoeffding, DKW); exact bounds; a ball of fixed radius rho that holds q = 1/2; the
    calibrated q and rho. All certificates of a run come from the same draws, without the examples of its calibration.
    The table has all noise levels. The drawing has one. It is in no paper.

    Args:
        experiments: see `Figure`. Their q and rho are in conf/calibration/<experiment>.yaml.
        h: ratios eps_in / sigma.
        sigma: noise level to draw; the nearest one is taken.
    """

    def __init__(self, experiments: list[str], h: list[float], sigma: float) -> None:
        super().__init__(experiments)
        self.h, self.sigma = h[:MOST], sigma

    def usable(self, run: StoredRun) -> bool:
        types = {group: run.identity.get(group, {}).get("type") for group in ("noise", "certifier")}
        return types == {"noise": "Gaussian", "certifier": "CenterSmoothing"} and noise_matches(run) and bool(run.draws)

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return apart_from_noise(run)

    def enough(self, runs: list[StoredRun]) -> bool:
        return any(calibration_of(run) for run in runs)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        by_sigma = {sigma_of(run): run for run in sorted(runs, key=lambda run: str(run.record.get("started")))}
        known = {sigma: Draws(run) for sigma, run in sorted(by_sigma.items()) if calibration_of(run)}
        steps = pd.DataFrame([row for of in known.values() for row in of.steps(self.h)])
        shown = known[min(known, key=lambda sigma: abs(sigma - self.sigma))]
        here = steps[steps["sigma"] == shown.noise.sigma]
        tried, reached = shown.tried(), shown.reached(max(self.h), largest_shown(here))
        figure, axes = plt.subplots(1, 3, figsize=(7.0, 3.0))
        for number, (step, style) in enumerate(STEPS.items()):
            curve, aside = here[here["step"] == step], ASIDE * (number - 1.5)
            plot_medians(axes[0], curve["h"] + aside, curve["eps_out"], style | {"label": step})
        metric = METRICS.get(type(shown.metric).__name__, type(shown.metric).__name__)
        axes[0].set(title=rf"same draws, $\sigma$ = {shown.noise.sigma:g}", xlabel=rf"$h$ = {IN} / $\sigma$")
        axes[0].set(ylabel=f"median {OUT}\n({metric})", ylim=(0, None), xticks=self.h)
        _plot_tried(axes[1], tried, shown.entry)
        for kind, curve in reached.groupby("step", sort=False):
            axes[2].plot(curve["eps_out"], curve["eps_in"], **(STEPS[str(kind)] | {"marker": ""}))
        axes[2].set(title="certified input radius", xlabel=f"wanted {OUT}", ylabel=f"{IN} (l2)")
        axes[2].set(xlim=(0, None), ylim=(0, None))
        handles, labels = axes[0].get_legend_handles_labels()
        title = f"{here['examples'].max()} examples"
        if not np.isfinite(here["eps_out"]).all():
            title += "; on the upper edge: infinite, because half of the examples or more have no certificate"
        figure.legend(handles, labels, loc="outside lower center", ncols=4, title=title)
        parts = {"steps": steps, "q": tried, "reach": reached}
        table = pd.concat([part.assign(part=name) for name, part in parts.items()], ignore_index=True)
        notes = [*_left_out(by_sigma, known), *_worth(steps), *abstention_notes(steps, ["step", "sigma", "h"])]
        return Drawing(figure, table, verdicts(CLAIMS, "balanced_steps", quantities(steps)), notes)


class Draws:
    """The draws of a run, and the certificates that they give with a calibration."""

    def __init__(self, run: StoredRun) -> None:
        self.run, self.own, self.entry = run, run.identity["certifier"], calibration_of(run)
        self.noise = Gaussian(sigma_of(run), run.identity.get("grid"))
        self.metric: Metric = Group.from_dict(run.record["config"]["metric"]).build()
        used = set(self.entry.get("examples") or [])
        self.draws = [draws for index, draws in run.draws.items() if index not in used]

    def steps(self, h: list[float]) -> list[dict[str, Any]]:
        """Medians after each step, for each h. No step with q = 1/2 if the calibration did not try it."""
        rows = []
        balanced = {EQUAL: self.settings(HALF), BALANCED: self.settings(self.entry["q"])}
        for ratio in h:
            eps = ratio * self.noise.sigma
            for step, bound in ((PAPER, "paper"), (EXACT, "exact")):
                rows.append({"step": step, "h": ratio, "eps_in": eps} | self.medians(eps, bound))
            for step, settings in balanced.items():
                if settings is not None:
                    given = [
                        balanced_certificate(d, eps, self.noise, self.metric, settings) for d in self.checked(settings)
                    ]
                    chosen = {"step": step, "h": ratio, "eps_in": eps, "q": settings.q, "rho": settings.rho}
                    rows.append(chosen | medians_of_certificates(given))
        return [{"sigma": self.noise.sigma, "m": self.own["m"]} | row for row in rows]

    def medians(self, eps: float, bound: str) -> dict[str, float]:
        """Medians of center smoothing's certificates."""
        settings = CenterSettings(bound, self.own["delta"], self.own["alpha1"], self.own["alpha2"])
        return read_again(self.run, self.draws, eps, self.noise, self.metric, settings)

    def settings(self, q: float) -> BalancedSettings | None:
        """What balanced center smoothing claims with this q and its rho. None if the calibration has no such rho."""
        found = {row["q"]: row["rho"] for row in self.entry.get("by_q") or []} | {self.entry["q"]: self.entry["rho"]}
        if not found.get(q, np.inf) < np.inf:
            return None
        return BalancedSettings(q, found[q], self.own["alpha1"], self.own["alpha2"])

    def checked(self, settings: BalancedSettings) -> list[CenterDraws]:
        return [checked_with(draws, settings.rho) for draws in self.draws]

    def tried(self) -> pd.DataFrame:
        """Median eps_out of the calibration for each q that it tried and each of its eps."""
        rows = [
            {"sigma": self.noise.sigma, "q": row["q"], "rho": row["rho"], "eps_in": eps, "eps_out": out}
            for row in self.entry.get("by_q") or []
            for eps, out in zip(self.entry["eps"], row["median_eps_out"], strict=True)
        ]
        return pd.DataFrame(rows, columns=["sigma", "q", "rho", "eps_in", "eps_out"])

    def reached(self, h: float, most: float) -> pd.DataFrame:
        """The input radius for a wanted eps_out up to `most`: balanced, and center smoothing with exact bounds.

        Balanced: the median of `reach`. Center smoothing: the largest eps, up to that of h, whose median eps_out is at
        most the wanted one. Only wanted radii at which there is an input radius.
        """
        eps = np.linspace(0, h * self.noise.sigma, POINTS)
        rows = [(EXACT, self.medians(radius, "exact")["eps_out"], radius) for radius in eps.tolist()]
        if (settings := self.settings(self.entry["q"])) is not None:
            draws = self.checked(settings)
            for wanted in np.linspace(0, most, POINTS).tolist():
                radii = sorted(reach(each, wanted, self.noise, self.metric, settings) for each in draws)
                rows.append(
                    (BALANCED, wanted, radii[(len(radii) - 1) // 2])
                )  # infinite eps_out is the upper middle one
        found = pd.DataFrame(rows, columns=["step", "eps_out", "eps_in"]).assign(sigma=self.noise.sigma)
        return found[(found["eps_out"] <= most) & (found["eps_in"] >= 0)]


def calibration_of(run: StoredRun) -> dict[str, Any]:
    """The calibration of the run's noise, also one for another grid. Empty if there is none.

    q and rho may come from anywhere but the certified examples, so that a certificate holds with those of another grid.
    """
    path = CALIBRATIONS / f"{experiment_of(run)}.yaml"
    entries = (yaml.safe_load(path.read_text()) or {}).get("calibration") or {} if path.exists() else {}
    own = str(Gaussian(sigma_of(run), run.identity.get("grid")))
    alike = [own, *(name for name in entries if without_grid(name) == without_grid(own))]
    found: dict[str, Any] = next((entries[name] for name in alike if name in entries), {})
    return found


def without_grid(noise: str) -> str:
    return noise.partition(", grid=")[0].rstrip(")")


def largest_shown(steps: pd.DataFrame) -> float:
    """The largest finite median eps_out; 0 if there is none."""
    finite = steps["eps_out"][np.isfinite(steps["eps_out"])]
    return float(finite.max()) if len(finite) else 0.0


def quantities(steps: pd.DataFrame) -> dict[str, dict[str, float]]:
    """The quantities of claims.csv: the largest ratio at any noise level, for each h. Infinite by infinite: none."""
    wide = steps.pivot_table(index=["h", "sigma"], columns="step", values="eps_out").reindex(columns=list(STEPS))
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


def _plot_tried(axis: Axes, tried: pd.DataFrame, entry: dict[str, Any]) -> None:
    """Draw eps_out of the calibration against q, one curve for each eps, which is written at its end."""
    axis.set(title="calibration, other images", xlabel="mass $q$ of the ball", ylabel=f"median {OUT}")
    axis.axvline(entry["q"], color="0.5", lw=0.8)
    axis.text(entry["q"], 0.99, " chosen", transform=axis.get_xaxis_transform(), va="top", fontsize=6)
    for (eps, curve), line in zip(tried.groupby("eps_in"), LINES[:MOST], strict=False):
        finite = curve[np.isfinite(curve["eps_out"])]
        axis.plot(finite["q"], finite["eps_out"], ls=line, color="C0")
        if len(finite):
            at, h = finite[["q", "eps_out"]].iloc[-1].tolist(), eps / finite["sigma"].iloc[0]
            axis.annotate(f"$h$ = {h:g}", at, (3, 0), textcoords="offset points", va="center", fontsize=6)
    axis.margins(y=0.12)
    axis.set(xlim=(HALF - 0.02, 1.1), xticks=np.linspace(HALF, 1, 6))


def _left_out(by_sigma: dict[float, StoredRun], known: dict[float, Draws]) -> list[str]:
    """Notes on what is not in the table."""
    without = [f"{sigma:g}" for sigma in sorted(by_sigma) if sigma not in known]
    notes = [f"no calibration, so left out: sigma = {', '.join(without)}"] if without else []
    fewer = [f"{sigma:g}" for sigma, of in known.items() if of.settings(HALF) is None]
    return notes + ([f"the calibration has no rho for q = 1/2: sigma = {', '.join(fewer)}"] if fewer else [])


def _worth(steps: pd.DataFrame) -> list[str]:
    """For each h, how many times smaller or larger the calibrated balanced certificate's medians are."""
    wide = steps.pivot_table(index=["h", "sigma"], columns="step", values="eps_out").reindex(columns=list(STEPS))
    notes = []
    for h, rows in wide.groupby("h"):
        both = rows[np.isfinite(rows[[EXACT, BALANCED]]).all(axis=1)]
        ratio, alone = both[BALANCED] / both[EXACT], np.isfinite(rows[BALANCED]) & ~np.isfinite(rows[EXACT])
        said = f"{ratio.min():.3f} to {ratio.max():.3f} at {len(ratio)} noise levels" if len(ratio) else "none has both"
        notes.append(f"h = {h:g}: balanced median eps_out over that with exact bounds: {said}; alone at {alone.sum()}")
    return notes
