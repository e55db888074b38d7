"""Ours: how close white-box attacks came to the certified bounds, and how many certificates they broke."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy

from experiments.report.claims import ROW
from experiments.report.figure import Drawing, Figure
from experiments.report.layout import WIDTH, head
from experiments.report.symbols import NORMS
from experiments.runs.reader import StoredRun

FOLDER, TABLE, RECORD = "tightness", "tightness.csv", "run.json"
CASE = ["certifier", "noise", "metric", "model"]
KINDS: dict[str, dict[str, Any]] = {
    "by sampling": {"color": "C0", "marker": "o"},
    "without error": {"color": "C1", "marker": "s"},
}
CHANCE = 1e-6  # probability of more violations than `allowed` if every certificate fails with its stated probability
NAMES = {
    "adaptive": "Adaptive",
    "center": "Center",
    "center_hd": "Center, HD",
    "certify": "Certify",
    "conformal": "Conformal",
    "dssn": "DSSN",
    "exact": "Exact",
    "exact_center": "Exact center",
    "exact_conformal": "Exact conformal",
    "exact_mean": "Exact mean",
    "exact_median": "Exact median",
    "mean": "Mean",
    "median": "Median",
    "segment": "Segment",
    "balanced": "Balanced",
    "exact_balanced": "Exact balanced",
    "band": "bands",
    "block": "blocks",
    "gaussian": "Gaussian",
    "jaccard": "Jaccard",
    "l2": NORMS["l2"],
    "ssn": "SSN",
    "tvd": "TV",
}
COLUMNS = ["index", *CASE, "factor", "moved", "ratio", "violated", "level_at_x", "level_at_attack"]


def per_certificate(table: pd.DataFrame) -> pd.DataFrame:
    """One row per certificate: the closest attempt, and the level.

    A certificate counts as violated if any attempt violates it. This has probability at most `level`: the failure
    probability of the draws at x, plus that of the draws at x' for each attempt within the input radius.
    """
    inside = table["factor"] <= 1
    groups = table.assign(at_attack=table["level_at_attack"].where(inside, 0.0)).groupby("index", sort=False)
    found = (
        groups[CASE]
        .first()
        .assign(attempts=groups.size(), ratio=groups["ratio"].max(), violated=groups["violated"].any())
    )
    return found.assign(level=groups["level_at_x"].first() + groups["at_attack"].sum()).reset_index()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row per case: attempts, certificates, violated and allowed ones, the closest ratio and the median ratio.

    The median includes certificates without any success, whose ratio is 0.
    """
    groups = per_certificate(table).groupby(CASE, sort=False)
    found = groups.agg(
        attempts=("attempts", "sum"),
        certificates=("index", "size"),
        violated=("violated", "sum"),
        level=("level", "max"),
        best=("ratio", "max"),
        median=("ratio", "median"),
    ).reset_index()
    found.insert(
        7, "allowed", [allowed(n, level) for n, level in zip(found["certificates"], found["level"], strict=True)]
    )
    return found


def allowed(certificates: int, level: float) -> int:
    """The number of violations that is exceeded with probability at most CHANCE if each has probability `level`."""
    return int(scipy.stats.binom.isf(CHANCE, certificates, level)) if level > 0 else 0


@dataclass(frozen=True)
class Bench(StoredRun):
    """The results that `experiments.benchmarks.tightness` wrote."""

    @cached_property
    def table(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / TABLE)


class Tightness(Figure):
    """The closest attempt on each certificate, one row per certifier and model. 1 is the certified bound."""

    made_by: ClassVar[tuple[str, ...]] = ("python -m experiments.benchmarks.tightness",)

    def __init__(self) -> None:
        super().__init__(experiments=[])

    def folders(self, results: Path) -> list[Path]:
        return [results / FOLDER]

    def find(self, folder: Path) -> list[StoredRun]:
        there = (folder / RECORD).exists() and (folder / TABLE).exists()
        return [Bench(folder, json.loads((folder / RECORD).read_text()))] if there else []

    def why_not(self, run: StoredRun) -> str:
        return "" if set(COLUMNS) <= set(run.table) else f"its table lacks some of the columns {', '.join(COLUMNS)}"

    def draw(self, runs: list[StoredRun]) -> Drawing:
        (bench,) = runs
        certificates, found = per_certificate(bench.table), summary(bench.table)
        figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(found)))
        spread = np.random.default_rng(0)
        for row, case in enumerate(found.itertuples()):
            ratios = certificates.loc[(certificates[CASE] == [getattr(case, c) for c in CASE]).all(axis=1), "ratio"]
            kind = KINDS["without error" if case.level == 0 else "by sampling"]
            rows = row + spread.uniform(-0.25, 0.25, len(ratios))
            axis.scatter(ratios, rows, s=9, alpha=0.55, lw=0, **kind)
            axis.plot([ratios.median()] * 2, [row - 0.38, row + 0.38], color="k", lw=1.4)
        axis.axvline(1, color="0.2", ls="--", lw=1)
        for name, kind in KINDS.items():
            axis.scatter([], [], label=f"a certificate, {name}", **kind)
        axis.plot([], [], color="k", lw=1.4, label="median")
        figure.legend(loc="outside lower center", ncols=3, handlelength=1, columnspacing=1)
        axis.set_yticks(range(len(found)), [_label(case) for case in found.itertuples()])
        axis.set(xlim=(-0.03, 1.05 * max(1.0, certificates["ratio"].max())), ylim=(len(found) - 0.4, -0.6))
        axis.set_xlabel("share of the certified bound that the attack reached")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.grid(axis="y", visible=False)
        attacks, certified = (f"{found[name].sum():,}" for name in ("attempts", "certificates"))
        head(figure, f"{attacks} attacks on {certified} certificates broke {found['violated'].sum() or 'none'}")
        notes = [
            f"{found['attempts'].sum():,} attempts on {found['certificates'].sum():,} certificates, "
            f"{found['violated'].sum()} of them broken",
            "classifiers: certified radius divided by the distance of the nearest x' that surely has another class",
            "center smoothing: distance that the output moved within eps_in, divided by eps_out",
            "medians and means: how far the number surely moved within eps_in, divided by the distance to its bound",
            "segments: eps_in divided by the distance of the nearest x' at which a certified class surely changed",
            "patches: certified side divided by that of the smallest patch that changed the class",
            "conformal sets: eps_in divided by the distance of the nearest x' at which the right class left its set",
            "0: no attempt changed the class within its reach, or moved the output; the median includes these",
        ]
        return Drawing(figure, found, verdicts_on(found), notes)


def _label(case: Any) -> str:
    """The certifier, noise, metric and model of a row; and how many certificates an attack broke, if any."""
    words = (case.certifier, case.noise, "" if case.metric in ("class", "number") else case.metric, case.model)
    broken = f" ({case.violated} broken)" if case.violated else ""
    return ", ".join(NAMES.get(word, word) for word in words if word) + broken


def verdicts_on(found: pd.DataFrame) -> pd.DataFrame:
    """The verdict on each case: it has at most as many violated certificates as its level allows."""
    rows = [
        {
            "claim": "a certificate is false with probability at most its stated level",
            "case": ", ".join(getattr(case, name) for name in CASE),
            "quantity": "certificates that an attack broke",
            "relation": "at most",
            "kind": "ours",
            "paper": case.level * case.certificates,
            "ours": case.violated,
            "difference": case.violated - case.level * case.certificates,
            "tolerance": case.allowed - case.level * case.certificates,
            "within": case.violated <= case.allowed,
            "reason": f"more would occur with probability at most {CHANCE:g}",
        }
        for case in found.itertuples()
    ]
    return pd.DataFrame(rows, columns=list(ROW))
