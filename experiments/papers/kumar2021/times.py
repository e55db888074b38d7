"""The times that center smoothing states, 1 to 3 minutes for an input, beside those of runs."""

from typing import Any

import pandas as pd

from experiments.papers.kumar2021.medians import CLAIMS
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing, Figure
from experiments.report.text_table import texts
from experiments.runs.reader import StoredRun, experiment_of

CERTIFIERS = ("CenterSmoothing", "CenterSmoothingHD")
GENERATOR = "imagenet_lpips"  # of which the paper says about three minutes


class Times(Figure):
    """Seconds for an input of each experiment: the median over its runs of their means.

    The paper's are those of one RTX 2080 Ti. Elsewhere their ratio is judged, slowest over fastest, among experiments
    with equal numbers of samples: 1 to 3 minutes are a ratio of 3.
    """

    def usable(self, run: StoredRun) -> bool:
        return run.identity["certifier"]["type"] in CERTIFIERS and experiment_of(run) in self.experiments

    def drawn_as(self, run: StoredRun) -> str:
        return "all"

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = pd.DataFrame([_row(run) for run in runs])
        by = ["experiment", "samples", "device"]
        table = rows.groupby(by, as_index=False).agg(seconds=("seconds", "median"), runs=("seconds", "size"))
        table["paper"] = ["about 180" if name == GENERATOR else "60 to 180" for name in table["experiment"]]
        header = ["experiment", "samples for an input", "seconds for an input", "the paper's", "runs", "device"]
        lines = [
            [r.experiment, f"{r.samples:,}", f"{r.seconds:.3g}", r.paper, str(r.runs), r.device]
            for r in table.itertuples()
        ]
        ratios = {
            f"{len(same)} experiments, {samples:,} samples, {device}": float(
                same["seconds"].max() / same["seconds"].min()
            )
            for (samples, device), same in table.groupby(["samples", "device"])
            if len(same) > 1
        }
        quantity = "seconds of the slowest experiment over those of the fastest at equal samples"
        caption = "Seconds for an input; the paper's on one NVIDIA RTX 2080 Ti, with 1,020,000 samples for most"
        claims = verdicts(CLAIMS, "center_time", {quantity: ratios})
        return Drawing(None, table, claims, [], texts([(caption, header, lines)]))


def _row(run: StoredRun) -> dict[str, Any]:
    certifier = run.identity["certifier"]
    return {
        "experiment": experiment_of(run),
        "samples": certifier.get("candidates", 0) + 2 * certifier["n"] + certifier["m"],
        "device": str(run.record.get("device", "unknown")),
        "seconds": float(run.table.groupby("index")["seconds"].first().mean()),
    }
