"""What is certified against a patch, by its side: a class (Levine and Feizi 2020b), or an output."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from experiments.report.certified_accuracy import average_radius, compared, mean_radii, rows_of
from experiments.report.claims import verdicts
from experiments.report.direct_labels import Curve, name_curves
from experiments.report.figure import LINES, Drawing, Figure
from experiments.report.layout import head, panels
from experiments.report.left_out import another, not_in
from experiments.report.measured import Measured, Values, measured, medians
from experiments.report.symbols import OUT
from experiments.report.titles import examples_text, title_of
from experiments.runs.output_space import largest_distance
from experiments.runs.reader import StoredRun, median_with_abstentions, oldest_first

CLAIMS = Path(__file__).with_name("claims.csv")
KINDS = {"BandAblation": "bands of columns", "BlockAblation": "blocks"}  # panels
MOST = 5  # curves in a panel
MORE = f"it shows parts of another size; {MOST} curves of each kind are shown"
MARKS = "osD^v"
SIDE = "side of the patch (pixels)"


class PatchCurves(Figure):
    """Certified accuracy, or the median certified output radius, against the side of the patch.

    One panel for bands and one for blocks, one curve for each size. From runs of `ExactCertify`, or of
    `ExactCenterSmoothing`.

    Args:
        experiments: see `Figure`.
    """

    def why_not(self, run: StoredRun) -> str:
        return another(run, "noise", *KINDS) or another(run, "certifier", "ExactCertify", "ExactCenterSmoothing")

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {key: value for key, value in run.identity.items() if key not in ("noise", "training")}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return not_in([run for some in _by_kind(runs).values() for run in some.values()], runs, MORE)

    def draw(self, runs: list[StoredRun]) -> Drawing:
        found, center = _by_kind(runs), "eps_out" in runs[0].table
        figure, axes = panels(len(found), 2.6, sharex=True, sharey=True)
        parts, named = [], []
        for axis, (kind, some) in zip(axes, found.items(), strict=True):
            curves = []
            for k, (size, run) in enumerate(some.items()):
                table = (_radii if center else _accuracies)(run)
                name = _name(kind, size) + (f" ({_error(run):.1f})" if center else "")
                style: dict[str, Any] = {"color": f"C{k}", "ls": LINES[k], "marker": MARKS[k]}
                axis.plot(table["side"], table["value"].where(np.isfinite(table["value"])), label=name, **style)
                curves.append(Curve(table["side"].to_numpy(float), table["value"].to_numpy(), name, f"C{k}"))
                parts.append(table.assign(kind=kind, size=size, examples=run.table["index"].nunique()))
            axis.set(title=KINDS[kind], xlabel=SIDE)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            named.append((axis, curves))
        table = pd.concat(parts, ignore_index=True)
        name = str(runs[0].record["config"]["name"]).removesuffix("_center").removesuffix("_patches")
        if center:
            ylabel, what = f"median {OUT}, {_metric(runs[0])}", "center smoothing against patches"
            about = (
                f"in brackets: the median smoothing error; without a mark: no certificate{_largest_distance(runs[0])}"
            )
        else:
            ylabel, what = "certified accuracy (%)", "certified classes against patches"
            about = "at 0: the accuracy without a patch"
        axes[0].set(ylabel=ylabel, ylim=(0, 1.4 * axes[0].get_ylim()[1] if center else 104))  # with room for names
        head(figure, f"{title_of(name)}, {what}", f"{examples_text(table['examples'])}; {about}")
        name_curves(figure, named)
        return Drawing(figure, table, _verdicts(found, center), _notes(found, center))


def _by_kind(runs: list[StoredRun]) -> dict[str, dict[int, StoredRun]]:
    """The newest run of each size, the smallest first, by the kind of noise."""
    found: dict[str, dict[int, StoredRun]] = {}
    for run in oldest_first(runs):
        found.setdefault(run.identity["noise"]["type"], {})[int(run.identity["noise"]["size"])] = run
    return {kind: dict(sorted(found[kind].items())[:MOST]) for kind in KINDS if kind in found}


def _name(kind: str, size: int) -> str:
    return f"{size} x {size}" if kind == "BlockAblation" else f"{size} column" + "s" * (size > 1)


def _accuracies(run: StoredRun) -> pd.DataFrame:
    """Certified accuracy in percent, by the side of the patch, up to the first side with none."""
    correct, radius = rows_of(run)
    counted = np.where(correct, radius, -1.0)
    sides = np.arange(0, max(0.0, counted.max()) + 2)
    return pd.DataFrame({"side": sides, "value": [100 * float((counted >= side).mean()) for side in sides]})


def _radii(run: StoredRun) -> pd.DataFrame:
    """The median certified output radius, infinite if there is none, by the side of the patch."""
    error = _error(run)
    rows = [
        (side, error, median_with_abstentions(of["eps_out"].to_numpy(float), of["status"].to_numpy() == "certified"))
        for side, of in run.table.groupby("eps_in")
    ]
    return pd.DataFrame(rows, columns=["side", "smoothing_error", "value"])


def _error(run: StoredRun) -> float:
    """The median smoothing error: the distance of f_hat(x) from f(x), where nothing is hidden."""
    return float(run.table.drop_duplicates("index")["smoothing_error"].median())


def _largest_distance(run: StoredRun) -> str:
    """How far apart two of the data set's images can be, for a heading; empty if it is not known."""
    largest = largest_distance(run)
    return "" if largest is None else f"; two images are at most {largest:g} apart"


def _metric(run: StoredRun) -> str:
    """Such as "total variation"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", run.identity["metric"]["type"]).lower()


def _notes(found: dict[str, dict[int, StoredRun]], center: bool) -> list[str]:
    if not center:
        return [
            f"{KINDS[kind]}, {_name(kind, size)}: average certified side {average_radius(*rows_of(run)):.3f}"
            for kind, some in found.items()
            for size, run in some.items()
        ]
    certain = max(float(run.table["failure_probability"].max()) for some in found.values() for run in some.values())
    return [f"largest failure probability of a certificate: {certain:g}"]


def _verdicts(found: dict[str, dict[int, StoredRun]], center: bool) -> pd.DataFrame:
    """Our checks: bands beside blocks at their best sizes, and parts beside the next larger ones."""
    ours: dict[str, dict[str, Measured]] = {}
    both = [list(found.get(kind, {}).values()) for kind in KINDS]
    bands = len(both[0])
    if center and all(both):
        first = min(float(run.table["eps_in"].min()) for some in both for run in some)
        less = measured(
            lambda radii: _least(radii[bands:]) / _least(radii[:bands]),
            *(_each(run, first) for some in both for run in some),
        )
        ours["least median eps_out of blocks over that of bands"] = {f"side {first:g}": less}
    elif not center:
        if all(both):
            gap = compared(lambda r: mean_radii(r[:bands]).max() - mean_radii(r[bands:]).max(), *both[0], *both[1])
            ours["largest average certified side of bands less that of blocks"] = {"best sizes": gap}
        rises = {
            f"{KINDS[kind]}, {_name(kind, small)} and {_name(kind, large)}": compared(_fall, some[small], some[large])
            for kind, some in found.items()
            for small, large in pairwise(some)
        }
        ours["accuracy without a patch of a part less that of the next larger one"] = rises
    return verdicts(CLAIMS, "patch_curves", ours)


def _fall(radii: Values) -> float:
    return float(np.mean(radii[0] >= 0) - np.mean(radii[1] >= 0))


def _least(radii: Values) -> float:
    return float(medians(radii).min())


def _each(run: StoredRun, side: float) -> "pd.Series[float]":
    """eps_out of each example at a side, infinite without a certificate."""
    table = run.table[run.table["eps_in"] == side].set_index("index")
    return table["eps_out"].where((table["status"] == "certified") & ~table["vacuous"].astype(bool), np.inf)
