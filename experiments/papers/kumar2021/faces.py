"""Fig. 3 of center smoothing: certified boxes of a face detector.

Two interpretations of the paper's eps are computed from the same draws. *Stated*: eps is in [0, 1] pixel units, like
sigma. *Published code*: it scales sigma to pixels in 0..255 but not eps, so eps is on the 0..255 scale, which is
eps / 255 in [0, 1] units.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.patches import Rectangle

from experiments.config.settings import Group
from experiments.data import Dataset
from experiments.papers.kumar2021.calibrated import CalibratedDraws
from experiments.papers.kumar2021.certificates import OURS, PAPERS, our_verdicts
from experiments.papers.kumar2021.medians import CLAIMS, EACH, abstention_notes, read_again
from experiments.papers.kumar2021.panels import MOST, QUANTITIES, about, abstained, draw_medians, styled
from experiments.report.claims import all_rows, verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import Drawing, Figure
from experiments.report.layout import WIDTH, head, mosaic
from experiments.report.left_out import NO_DRAWS, another
from experiments.report.measured import NOTHING, Measured, Values, measured, medians, ratio_of_medians
from experiments.report.one_level import OneLevel
from experiments.report.symbols import IN, NORMS, sigma_text
from experiments.runs.reader import StoredRun, sigma_of
from experiments.runs.table import empty_examples
from smoothing import CenterSettings, Gaussian, Jaccard, SettingError

READINGS = {"stated units": 1.0, "published code's units": 1 / 255}
SUBTITLES = {
    "stated units": f"in the units that the paper states: {IN} for pixels in [0, 1]",
    "published code's units": f"in its code's units: {IN} / 255",
}
BOUNDS = ("exact", "paper")
MEDIANS = ("eps_out", "smoothing_error", "examples", "abstained", "failed", *EACH)
ALMOST_PERFECT = 0.8  # overlap, 1 - smoothing error (fig. 3(b)); section 5.1 calls this overlap large
CLAIM = "the paper: below 0.2 for $h$ = 2"
CLAIMED = 0.2  # fig. 3(a): eps_out stays below this value for h = 2


class FaceCurves(Figure):
    """Fig. 3(a): median certified output radius and smoothing error against eps_in, for each h = eps_in / sigma.

    Each run has one sigma and gives a point for every h. All certificates and both interpretations use the same draws,
    but ours leaves out the examples that q and rho come from. The drawing has no paper bounds; the table has both.
    """

    def __init__(self, experiments: list[str], eps: list[float], h: list[float]) -> None:
        super().__init__(experiments)
        if not 1 <= len(h) <= MOST:
            raise SettingError(f"figure.h: expected 1 to {MOST} numbers, as [1,2], got {h}")
        self.eps, self.h = eps, h

    def why_not(self, run: StoredRun) -> str:
        if why := another(run, "metric", "Jaccard") or another(run, "noise", "Gaussian"):
            return why
        if not self._of_the_axis(run):
            return "h times its sigma is none of figure.eps, for any h of figure.h"
        return "" if run.draws else NO_DRAWS

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = [row for run in runs for row in self.rows(run)]
        table = pd.DataFrame(rows)
        by = ["reading", "certificate", "bound", "h", "eps_in"]
        table = table.sort_values(by, key=lambda c: c == OURS if c.name == "certificate" else c, ignore_index=True)
        shown = table[table["bound"] == "exact"]
        shown = shown.assign(eps_out=shown["eps_out"].where(shown["eps_out"] < 1, np.inf))
        figure = self._figure(styled(shown.assign(curve=[f"h = {h:g}" for h in shown["h"]])))
        named = table.assign(certificate=table["certificate"] + ", " + table["bound"] + " bound")
        notes = [*_below(shown), *self._about(table, runs)]
        notes += abstention_notes(named, ["reading", "h", "eps_in", "certificate"])
        claims = self._claims(table)
        return Drawing(figure, table.drop(columns=list(EACH)), claims, [*notes, *_without_face(runs)])

    def _figure(self, shown: pd.DataFrame) -> MatplotlibFigure:
        """The claim in the stated units, in the published code's, and the smoothing error, which has no such units."""
        figure, grid = mosaic(["AA", "BC"], 2.5)
        right, drawn = 1.06 * max(self.eps), {}
        for (reading, subtitle), axis in zip(SUBTITLES.items(), (grid["A"], grid["B"]), strict=True):
            drawn[axis] = draw_medians(axis, shown[shown["reading"] == reading], "eps_out")
            axis.axhline(CLAIMED, color="k", lw=1, ls=":", zorder=0)
            drawn[axis].append(Curve(np.array([0, right]), np.array([CLAIMED, CLAIMED]), CLAIM, "k"))
            axis.set(title=subtitle, ylabel=QUANTITIES["eps_out"])
        drawn[grid["C"]] = draw_medians(grid["C"], shown[shown["reading"] == next(iter(READINGS))], "smoothing_error")
        grid["C"].set(title="the same in both units", ylabel=QUANTITIES["smoothing_error"])
        finite = shown["eps_out"][np.isfinite(shown["eps_out"])]
        top = 1.15 * max([CLAIMED, *finite])
        for axis in drawn:
            axis.set(xlabel=f"{IN} ({NORMS['l2']})", ylim=(0, 1.06 if axis is grid["C"] else top), xlim=(0, right))
        title = "Jaccard distance between the boxes of a face detector"
        head(figure, title, about(shown, "1 or more (vacuous), or not certified"))
        name_curves(figure, [(grid["A"], drawn[grid["A"]])])
        return figure

    def _of_the_axis(self, run: StoredRun) -> list[float]:
        """The values of h for which eps_in = h sigma is one of `eps`."""
        return [h for h in self.h if np.isclose(h * run.identity["noise"]["sigma"], self.eps).any()]

    def rows(self, run: StoredRun) -> list[dict[str, object]]:
        """The points of a run, one for each h, interpretation, certificate and bound."""
        sigma = run.identity["noise"]["sigma"]
        chosen, noise = run.identity["certifier"], Gaussian(sigma, run.identity.get("grid"))
        draws, calibrated = list(run.draws.values()), CalibratedDraws(run)
        ours = calibrated.settings(calibrated.q)
        rows: list[dict[str, object]] = []
        for h in self._of_the_axis(run):
            for reading, unit in READINGS.items():
                point = {"reading": reading, "h": h, "sigma": sigma, "eps_in": round(h * sigma, 12)}
                for bound in BOUNDS:
                    settings = CenterSettings(bound, chosen["delta"], chosen["alpha1"], chosen["alpha2"])
                    medians = read_again(run, draws, h * sigma * unit, noise, Jaccard(), settings, list(run.draws))
                    rows.append(point | {"certificate": PAPERS, "bound": bound} | medians)
                if ours is not None:
                    medians = calibrated.balanced(h * sigma * unit, ours, each=True)
                    rows.append(point | {"certificate": OURS, "bound": ours.bound} | medians)
        columns = ("reading", "certificate", "bound", "h", "sigma", "eps_in", *MEDIANS)
        return [{name: row[name] for name in columns} for row in rows]

    def _about(self, table: pd.DataFrame, runs: list[StoredRun]) -> list[str]:
        """Which examples and noise levels ours has, and where the paper's bounds are drawn."""
        ours = table[table["certificate"] == OURS]
        notes = ["the table also has the paper's bounds (Hoeffding, DKW); figure=center_exact_bounds draws them"]
        if ours.empty:
            return [f"there are no {OURS} results, so only the paper's certificate is drawn", *notes]
        used = table["examples"].max() - ours["examples"].max()
        lacking = sorted({sigma_of(run) for run in runs} - set(ours["sigma"]))
        if used:
            notes.append(f"{OURS} leaves out the examples that q and rho come from: {used}")
        if lacking:
            notes.append(f"there are no {OURS} results at sigma = {', '.join(f'{sigma:g}' for sigma in lacking)}")
        return notes

    def _claims(self, table: pd.DataFrame) -> pd.DataFrame:
        quantities: dict[str, dict[str, dict[str, Measured]]] = {PAPERS: {}, OURS: {}}
        for reading, certificate in product(READINGS, quantities):
            rows = table.query("bound == 'exact' and reading == @reading and certificate == @certificate")
            paper = certificate == PAPERS
            for quantity, value in _quantities(rows).items():
                case = f"{reading}, {'exact bound' if paper else f'abstained on {abstained(rows)[OURS]}'}"
                quantities[certificate].setdefault(quantity, {})[case] = value
        said = verdicts(CLAIMS, "center_faces", quantities[PAPERS])
        return all_rows(said, our_verdicts(CLAIMS, "center_faces", quantities[OURS]))


def _quantities(rows: pd.DataFrame) -> dict[str, Measured]:
    """The quantities of center_faces in claims.csv that some points determine."""
    out, error = EACH
    by_h = {h: part.set_index("eps_in") for h, part in rows.groupby("h")}
    found = {}
    if 2 in by_h:
        found["largest median eps_out at h = 2"] = measured(_largest_median, *by_h[2][out])
    if {1, 2} <= set(by_h):
        both = [eps for eps in by_h[2].index if eps in by_h[1].index]
        if both:
            ratio = ratio_of_medians(list(by_h[2].loc[both, out]), list(by_h[1].loc[both, out]))
            found["largest eps_out at h = 2 over eps_out at h = 1"] = ratio
    if len(rows):
        found["largest smoothing error over eps_out"] = ratio_of_medians(list(rows[error]), list(rows[out]))
    return found


def _largest_median(values: Values) -> float:
    """The largest median. NaN if one is 0, rounded up, as for a constant function."""
    found = medians(values)
    return float(found.max()) if (found > NOTHING).all() else np.nan


def _below(table: pd.DataFrame) -> list[str]:
    """For each certificate and interpretation, the input radii up to which the claim about h = 2 holds."""
    notes = []
    for (reading, certificate), rows in table[table["h"] == 2].groupby(["reading", "certificate"], sort=False):
        holds = (rows.sort_values("eps_in")["eps_out"] < CLAIMED).cummin()
        up_to = rows.loc[holds[holds].index, "eps_in"]
        said = f"up to eps_in = {up_to.max():g}" if len(up_to) else "at no eps_in"
        notes.append(f"{reading}, {certificate}: median eps_out at h = 2 is below {CLAIMED} {said}")
    return notes


def _without_face(runs: list[StoredRun]) -> list[str]:
    """A note for each run with empty smoothed boxes: their certificates say that no face is found."""
    counts = [(run, empty_examples(run.table), run.table["index"].nunique()) for run in runs]
    return [f"sigma = {sigma_of(run):g}: {empty} of {all_}: no face" for run, empty, all_ in counts if empty]


class Boxes(OneLevel):
    """Fig. 3(b): the base detector's box and the smoothed detector's on the photographs.

    Args:
        experiments: see `Figure`.
        sigma: noise level of the run to draw; the nearest one is taken.
        columns: number of photographs in a row.
    """

    def __init__(self, experiments: list[str], sigma: float, columns: int) -> None:
        super().__init__(experiments, sigma)
        self.columns = columns

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "metric", "Jaccard") or another(run, "model", "FaceDetector")
        return kind or ("" if run.draws else NO_DRAWS)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        run = self.nearest(runs)
        dataset: Dataset = Group.from_dict(run.record["config"]["dataset"]).build()
        kept = run.table[run.table["index"].isin(list(run.draws))]
        examples = kept.groupby("index", as_index=False).first().to_dict("records")
        columns = min(self.columns, len(examples))
        lines = -(-len(examples) // columns)
        height = WIDTH / columns * 1.35
        figure, axes = plt.subplots(lines, columns, figsize=(WIDTH, height * lines + 0.5), squeeze=False)
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
            empty = bool(Jaccard().empty(draws.center[None])[0])
            axis.set_title("abstained" if abstained else "no face" if empty else f"{error:.2f}")
            rows.append(
                {"index": index, "status": example["status"], "smoothing_error": error, "empty": empty}
                | {"moved": bool(len(draws.distances)) and bool(draws.distances.max() > NOTHING)}
                | {f"base_{c}": v for c, v in zip(("x1", "y1", "x2", "y2"), draws.base_output.tolist(), strict=True)}
                | {f"smoothed_{c}": v for c, v in zip(("x1", "y1", "x2", "y2"), draws.center.tolist(), strict=True)}
            )
        handles = [
            Rectangle((0, 0), 1, 1, fill=False, ec="lime"),
            Rectangle((0, 0), 1, 1, fill=False, ec="blue", ls="--"),
        ]
        labels = ["base detector", f"smoothed detector, {sigma_text(sigma_of(run))}"]
        title = "above each photograph: its smoothing error"
        figure.legend(handles, labels, loc="outside upper center", ncols=2, title=title)
        table = pd.DataFrame(rows)
        alike = (table["smoothing_error"] <= 1 - ALMOST_PERFECT) & (table["status"] != "abstained")
        says = alike & ~table["empty"] & table["moved"]
        share = measured(lambda values: float(values.mean()), 1.0 - says.astype(float))
        case = f"sigma = {run.identity['noise']['sigma']:g}, {len(table)} photographs"
        quantity = f"share of the photographs whose two boxes overlap by less than {ALMOST_PERFECT:g}"
        claims = verdicts(CLAIMS, "center_faces_boxes", {quantity: {case: share}})
        return Drawing(figure, table, claims, [])
