"""Fig. 3 of center smoothing: certified boxes of a face detector.

Two interpretations of the paper's eps are computed from the same draws. *Stated*: eps is in [0, 1] pixel units, like
sigma. *Published code*: it scales sigma to pixels in 0..255 but not eps, so eps is on the 0..255 scale, which is
eps / 255 in [0, 1] units.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from experiments.config.settings import Group
from experiments.data import Dataset
from experiments.papers.kumar2021.medians import CLAIMS, abstention_notes, read_again
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing, Figure
from experiments.runs.reader import StoredRun, sigma_of
from experiments.runs.table import empty_examples
from smoothing import CenterSettings, Gaussian, Jaccard, SettingError

READINGS = {"stated units": 1.0, "published code's units": 1 / 255}
SUBTITLES = {
    "stated units": "as stated: eps_in in [0, 1] pixels",
    "published code's units": "as coded: eps_in in 0..255 pixels",
}
BOUNDS, COLORS = ("exact", "paper"), ("C1", "C0")
MEDIANS = ("eps_out", "smoothing_error", "examples", "abstained", "failed")
ASIDE = 0.009  # horizontal shift in eps_in, so that marks at 1 do not overlap
ALMOST_PERFECT = 0.8  # overlap, 1 - smoothing error (fig. 3(b)); section 5.1 calls this overlap large
CLAIMED = 0.2  # fig. 3(a): eps_out stays below this value for h = 2


class FaceCurves(Figure):
    """Fig. 3(a): median certified output radius and smoothing error against eps_in, for each h = eps_in / sigma.

    Each run has one sigma and gives a point for every h. Both bounds and both interpretations use the same draws.
    """

    def __init__(self, experiments: list[str], eps: list[float], h: list[float]) -> None:
        super().__init__(experiments)
        if not 1 <= len(h) <= len(COLORS):
            raise SettingError(f"figure.h: expected 1 to {len(COLORS)} numbers, as [1,2], got {h}")
        self.eps, self.h = eps, h

    def usable(self, run: StoredRun) -> bool:
        right = _jaccard(run) and run.identity["noise"]["type"] == "Gaussian"
        return right and bool(self._of_the_axis(run)) and bool(run.draws)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = [row for run in runs for row in self._rows(run)]
        table = pd.DataFrame(rows).sort_values(["reading", "bound", "h", "eps_in"], ignore_index=True)
        figure, axes = plt.subplots(1, 2, sharey=True)
        for axis, reading in zip(axes, READINGS, strict=True):
            for h, color in zip(self.h, COLORS, strict=False):
                for bound in BOUNDS:
                    curve = table.query("reading == @reading and bound == @bound and h == @h")
                    aside = ASIDE * (2 * self.h.index(h) + BOUNDS.index(bound) - 1.5)
                    _plot_radii(axis, curve, bound, color, f"eps_out, h = {h:g}, {bound} bound", aside)
                error = table.query("reading == @reading and bound == 'exact' and h == @h")
                label = f"smoothing error, h = {h:g}"
                axis.plot(error["eps_in"], error["smoothing_error"], ":", marker=".", color=color, label=label)
            axis.axhline(CLAIMED, color="0.5", lw=0.8, zorder=0, label="paper: eps_out for h = 2 is below")
            axis.set(title=SUBTITLES[reading], xlabel="eps_in (l2)", ylim=(0, 1.06), xlim=(0, max(self.eps) * 1.06))
        axes[0].set_ylabel(f"median Jaccard distance, {table['examples'].max()} photographs")
        handles, labels = axes[0].get_legend_handles_labels()
        none = axes[0].plot([], [], "^", color="0.4", mfc="none")[0]
        figure.legend(
            [*handles, none], [*labels, "median at or above 1: vacuous,\nor not certified"], loc="outside right center"
        )
        named = table.assign(bound=table["bound"] + " bound")
        notes = [*abstention_notes(named, ["reading", "h", "eps_in", "bound"]), *_without_face(runs)]
        return Drawing(figure, table, self._claims(table), notes)

    def _of_the_axis(self, run: StoredRun) -> list[float]:
        """The values of h for which eps_in = h sigma is one of `eps`."""
        return [h for h in self.h if np.isclose(h * run.identity["noise"]["sigma"], self.eps).any()]

    def _rows(self, run: StoredRun) -> list[dict[str, object]]:
        sigma = run.identity["noise"]["sigma"]
        chosen, noise = run.identity["certifier"], Gaussian(sigma, run.identity.get("grid"))
        draws = list(run.draws.values())
        rows: list[dict[str, object]] = []
        for h in self._of_the_axis(run):
            for bound in BOUNDS:
                settings = CenterSettings(bound, chosen["delta"], chosen["alpha1"], chosen["alpha2"])
                for reading, unit in READINGS.items():
                    point = {"reading": reading, "bound": bound, "h": h, "sigma": sigma, "eps_in": round(h * sigma, 12)}
                    medians = read_again(run, draws, h * sigma * unit, noise, Jaccard(), settings)
                    rows.append(point | {name: medians[name] for name in MEDIANS})
        return rows

    def _claims(self, table: pd.DataFrame) -> pd.DataFrame:
        quantities: dict[str, dict[str, float]] = {}
        for reading in READINGS:
            exact = table.query("reading == @reading and bound == 'exact'")
            wide = exact.pivot(index="eps_in", columns="h", values="eps_out").reindex(columns=[1, 2])
            ours = {
                "largest median eps_out at h = 2": wide[2].max(),
                "largest eps_out at h = 2 over eps_out at h = 1": (wide[2] / wide[1]).max(),
                "largest smoothing error over eps_out": (exact["smoothing_error"] / exact["eps_out"]).max(),
            }
            for quantity, value in ours.items():
                if not np.isnan(value):
                    quantities.setdefault(quantity, {})[f"{reading}, exact bound"] = float(value)
        return verdicts(CLAIMS, "center_faces", quantities)


def _without_face(runs: list[StoredRun]) -> list[str]:
    """A note for each run with empty smoothed boxes: their certificates say that no face is found."""
    counts = [(run, empty_examples(run.table), run.table["index"].nunique()) for run in runs]
    return [f"sigma = {sigma_of(run):g}: {empty} of {all_}: no face" for run, empty, all_ in counts if empty]


def _jaccard(run: StoredRun) -> bool:
    return bool(run.identity.get("metric", {}).get("type") == "Jaccard")


def _plot_radii(axis: Axes, curve: pd.DataFrame, bound: str, color: str, label: str, aside: float) -> None:
    """Draw medians below 1 as a line. Others say nothing about a Jaccard distance and are triangles at 1."""
    paper = bound == "paper"
    says = curve["eps_out"] < 1
    lines, marks, face = ("--", "s", "white") if paper else ("-", "o", color)
    axis.plot(curve["eps_in"], curve["eps_out"].where(says), lines, marker=marks, mfc=face, color=color, label=label)
    nothing = curve[~says]
    axis.plot(nothing["eps_in"] + aside, np.ones(len(nothing)), "^", mfc=face, color=color)


class Boxes(Figure):
    """Fig. 3(b): the base detector's box and the smoothed detector's on the photographs.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        columns: number of photographs in a row.
    """

    def __init__(self, experiments: list[str], sigma: float, columns: int) -> None:
        super().__init__(experiments)
        self.sigma, self.columns = sigma, columns

    def usable(self, run: StoredRun) -> bool:
        return _jaccard(run) and run.identity["model"]["type"] == "FaceDetector" and bool(run.draws)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = min(runs, key=lambda run: abs(run.identity["noise"]["sigma"] - self.sigma))
        dataset: Dataset = Group.from_dict(run.record["config"]["dataset"]).build()
        kept = run.table[run.table["index"].isin(list(run.draws))]
        examples = kept.groupby("index", as_index=False).first().to_dict("records")
        columns = min(self.columns, len(examples))
        lines = -(-len(examples) // columns)
        figure, axes = plt.subplots(lines, columns, figsize=(1.5 * columns, 2.0 * lines + 0.35), squeeze=False)
        rows = []
        for axis in axes.flat:
            axis.set_axis_off()
        for axis, example in zip(axes.flat, examples, strict=False):
            index, abstained = example["index"], example["status"] == "abstained"
            draws = run.draws[index]
            axis.imshow(dataset[index].permute(1, 2, 0).numpy(), interpolation="nearest")
            smoothed = draws.center * 0 if abstained else draws.center
            for box, color, style in ((draws.base_output, "lime", "-"), (smoothed, "blue", "--")):
                x1, y1, x2, y2 = box.tolist()
                if x2 > x1 and y2 > y1:
                    axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, ls=style, lw=1.4))
            error = example["smoothing_error"]
            nothing = ", no face" if bool(Jaccard().empty(draws.center[None])[0]) else ""
            axis.set_title(f"{index}: abstained" if abstained else f"{index}: error {error:.2f}{nothing}", fontsize=7)
            rows.append(
                {"index": index, "status": example["status"], "smoothing_error": error}
                | {f"base_{c}": v for c, v in zip(("x1", "y1", "x2", "y2"), draws.base_output.tolist(), strict=True)}
                | {f"smoothed_{c}": v for c, v in zip(("x1", "y1", "x2", "y2"), draws.center.tolist(), strict=True)}
            )
        handles = [
            Rectangle((0, 0), 1, 1, fill=False, ec="lime"),
            Rectangle((0, 0), 1, 1, fill=False, ec="blue", ls="--"),
        ]
        labels = ["base detector", f"smoothed detector, sigma = {run.identity['noise']['sigma']:g}"]
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        table = pd.DataFrame(rows)
        apart = (1 - table["smoothing_error"].where(table["status"] != "abstained", 1.0)) < ALMOST_PERFECT
        case = f"sigma = {run.identity['noise']['sigma']:g}, {len(table)} photographs"
        quantity = f"share of the photographs with 1 - smoothing error below {ALMOST_PERFECT:g}"
        claims = verdicts(CLAIMS, "center_faces_boxes", {quantity: {case: float(apart.mean())}})
        return Drawing(figure, table, claims, [])
