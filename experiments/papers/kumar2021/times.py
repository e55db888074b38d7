"""The times in the center smoothing paper, 1 to 3 minutes per input, compared with those of runs."""

from typing import Any

import pandas as pd

from experiments.papers.kumar2021.medians import CLAIMS
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing, Figure
from experiments.report.left_out import NOT_LISTED, another
from experiments.report.text_table import texts
from experiments.runs.reader import StoredRun, experiment_of

CERTIFIERS = ("CenterSmoothing", "CenterSmoothingHD")
GENERATOR = "imagenet_lpips"  # about three minutes in the paper


class Times(Figure):
    """Seconds per input for each experiment: the median of its runs' means.

    The paper's times are for one RTX 2080 Ti. On other hardware only a ratio is judged: slowest over fastest, among
    experiments with equal numbers of samples. 1 to 3 minutes give a ratio of 3.
    """

    def why_not(self, run: StoredRun) -> str:
        listed = experiment_of(run) in self.experiments
        return another(run, "certifier", *CERTIFIERS) or ("" if listed else NOT_LISTED)

    def drawn_as(self, run: StoredRun) -> str:
        return "all"

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = pd.DataFrame([_row(run) for run in runs])
        by = ["experiment", "samples", "device"]
        table = rows.groupby(by, as_index=False).agg(seconds=("seconds", "median"), runs=("seconds", "size"))
        table["paper"] = ["about 180" if name == GENERATOR else "60 to 180" for name in table["experiment"]]
        header = ["experiment", "samples per input", "seconds per input", "the paper's", "runs", "device"]
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
        caption = "Seconds per input; the paper's times are for one NVIDIA RTX 2080 Ti and mostly 1,020,000 samples"
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
