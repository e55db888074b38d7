"""The times that Cohen et al. state (section 4, appendix E.2), compared with those of runs."""

from math import nan
from typing import Any

import pandas as pd

from experiments.machine.words import device_text
from experiments.papers.cohen2019.results import CLAIMS, CohenFigure
from experiments.report.certified_accuracy import better_than_one_class
from experiments.report.claims import verdicts
from experiments.report.figure import Drawing
from experiments.report.left_out import another, trained_otherwise
from experiments.report.measured import Measured
from experiments.report.text_table import texts
from experiments.report.titles import title_of
from experiments.runs.reader import PUBLISHED, StoredRun, experiment_of

HARDWARE = "one NVIDIA RTX 2080 Ti, as the paper says"
STATED = {  # by experiment, certifier and its n: seconds for an example
    ("cifar10_gaussian", "Certify", 100_000): 15.0,
    ("imagenet_gaussian", "Certify", 100_000): 110.0,
    ("imagenet_gaussian", "Predict", 100): 0.15,
    ("imagenet_gaussian", "Predict", 10_000): 15.0,
}
RATIOS = {
    "mean seconds of Predict at N = 10,000 over those at N = 100": (3, 2),
    "mean seconds of a certificate of ImageNet over those of CIFAR-10": (1, 0),
    "mean seconds of a certificate of ImageNet over those of Predict at N = 100": (1, 2),
}  # ratios of two times in `STATED`


class Times(CohenFigure):
    """Mean seconds per example for each experiment and procedure. The authors' files are listed separately.

    Times are compared with the paper's only on the paper's hardware. On other hardware, ratios of two times are
    compared if one machine has both. All are void unless the timed runs are better than one class for every example.
    """

    def why_not(self, run: StoredRun) -> str:
        kind = another(run, "certifier", "Certify", "Predict") or another(run, "noise", "Gaussian")
        if why := kind or trained_otherwise(run):
            return why
        if "method" in run.identity:
            return "others trained it by another method"
        return "" if run.table["seconds"].notna().any() else "its rows have no times"

    def drawn_as(self, run: StoredRun) -> str:
        return "published" if published(run) else "ours"

    def setting(self, run: StoredRun) -> dict[str, Any]:
        return {"published": published(run)}

    def left_out(self, runs: list[StoredRun]) -> dict[str, list[StoredRun]]:
        return {}

    def draw(self, runs: list[StoredRun]) -> Drawing:
        rows = pd.DataFrame([_row(run) for run in runs])
        by = ["experiment", "certifier", "n", "device"]
        summary = {"mean_seconds": ("seconds", "mean"), "runs": ("seconds", "size"), "works": ("works", "all")}
        table = rows.groupby(by, as_index=False).agg(**summary)
        table["paper"] = [STATED.get((e, c, n)) for e, c, n in table[by[:3]].itertuples(index=False)]
        header = ["experiment", "procedure", "samples", "mean seconds per example", "the paper's", "device"]
        lines = [
            [
                *(title_of(r.experiment), r.certifier, f"{r.n:,}", f"{r.mean_seconds:.3g}"),
                "" if pd.isna(r.paper) else f"{r.paper:g}",
                r.device,
            ]
            for r in table.itertuples()
        ]
        caption = "Mean seconds per example, all noise levels together"
        claims = verdicts(CLAIMS, "cohen_time", _quantities(table))
        return Drawing(None, table.drop(columns="works"), claims, [], texts([(caption, header, lines)]))


def published(run: StoredRun) -> bool:
    """Whether a run is read from the authors' files."""
    return str(run.record["config"]["name"]).endswith(PUBLISHED)


def _row(run: StoredRun) -> dict[str, Any]:
    certifier = run.identity["certifier"]
    device = HARDWARE if published(run) else device_text(str(run.record.get("device", "unknown")))
    named = {"experiment": experiment_of(run), "certifier": certifier["type"], "n": certifier["n"], "device": device}
    return named | {"seconds": float(run.table["seconds"].mean()), "works": better_than_one_class(run)}


def _quantities(table: pd.DataFrame) -> dict[str, dict[str, Measured]]:
    """The quantities of cohen_time in claims.csv: times on the paper's hardware, ratios on any single machine."""
    found: dict[str, dict[str, Measured]] = {}
    keys = list(STATED)
    for device, rows in table.groupby("device"):
        known = rows.set_index(["experiment", "certifier", "n"])
        seconds, void = known["mean_seconds"], known["works"].map({True: 0.0, False: nan})
        if device == HARDWARE:
            for key in keys:
                if key in seconds.index:
                    experiment, certifier, n = key
                    quantity = f"mean seconds of {certifier} with n = {n:,} of {experiment}"
                    found.setdefault(quantity, {})[str(device)] = Measured(float(seconds[key]), float(void[key]))
        for quantity, (over, under) in RATIOS.items():
            if keys[over] in seconds.index and keys[under] in seconds.index:
                ratio, void_of = seconds[keys[over]] / seconds[keys[under]], void[keys[over]] + void[keys[under]]
                found.setdefault(quantity, {})[str(device)] = Measured(float(ratio), float(void_of))
    return found
