"""Fig. 4(a) of center smoothing: median certified output radius and smoothing error of a generator against eps_in."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from experiments.papers.kumar2021.certificates import split
from experiments.papers.kumar2021.curves import MedianCurves
from experiments.papers.kumar2021.medians import CLAIMS, EACH, stand_in
from experiments.report.claims import all_rows, verdicts
from experiments.report.figure import Drawing, Figure
from experiments.report.measured import NOTHING, Values, measured, medians
from experiments.runs.reader import StoredRun

SQUARED = ("LPIPS", "FeatureDistance")  # metrics with gamma = 2


class GeneratorCurves(MedianCurves):
    """Fig. 4(a): LPIPS, for which eps_out has a factor of ten instead of three.

    Runs of a stand-in have drawings of their own, one for each experiment.

    Args:
        experiments, metric, h, claims: see `MedianCurves`.
        other_metrics: classes of the metrics of stand-ins.
    """

    def __init__(
        self, experiments: list[str], metric: str, h: list[float], claims: str, other_metrics: Sequence[str] = ()
    ) -> None:
        super().__init__(experiments, metric, h, claims)
        self.metrics = (metric, *other_metrics)

    def drawn_as(self, run: StoredRun) -> str:
        return Figure.drawn_as(self, run) if stand_in(run) else super().drawn_as(run)

    def heading(self, table: pd.DataFrame, runs: list[StoredRun]) -> str:
        return "; ".join(filter(None, [stand_in(runs[0]), super().heading(table, runs)]))

    def quantities(self, table: pd.DataFrame) -> dict[str, dict[str, Any]]:
        found = super().quantities(table)
        rises = {
            f"{panel}, h = {h:g}": measured(
                _ratio_of_rises, *(curve[name].iloc[end] for name in EACH for end in (0, -1))
            )
            for (panel, h), curve in table.groupby(["panel", "h"], sort=False)
            if len(curve) > 1
        }
        return found | {"rise of the median smoothing error over that of eps_out along the curve": rises}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        drawing = super().draw(runs)
        if runs[0].identity["metric"]["type"] not in SQUARED:
            return drawing
        rows = pd.concat([run.table for run in split(runs)[0]])
        known = rows[(rows["status"] == "certified") & (rows["distance_quantile"] > 0)]
        factors = (known["eps_out"] / known["distance_quantile"]).to_numpy(dtype=np.float64)
        case = {f"{len(factors)} certificates": float(np.median(factors))} if len(factors) else {}
        said = verdicts(CLAIMS, self.claims, {"median of eps_out over the quantile of the distances": case})
        return replace(drawing, claims=all_rows(drawing.claims, said))


def _ratio_of_rises(values: Values) -> float:
    """Of eps_out and of the smoothing error at both ends of a curve: the rise of the error's median over the other's.

    NaN unless both medians of eps_out are finite and it rises.
    """
    first, last, low, high = medians(values)
    rises = np.isfinite([first, last, low, high]).all() and NOTHING < first < last
    return float((high - low) / (last - first)) if rises else np.nan
