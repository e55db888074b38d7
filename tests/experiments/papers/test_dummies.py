"""Verdicts can fail: a run that certifies nothing passes no check but those that are true by construction."""

from functools import cache

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from dummies import KINDS, dummies
from made_up_runs import every_drawing
from matplotlib.figure import Figure as MatplotlibFigure

from experiments.papers.cohen2019 import tables
from experiments.papers.kumar2021 import calibrated
from experiments.report import certified_accuracy, direct_labels
from experiments.report.figure import CONF, selection

PAPERS = CONF.parent / "experiments" / "papers"
EVIDENCE = ("number", "trend")
SEEDS = 5  # a check that random numbers pass with each of these seeds is void
# Figures whose committed runs are drawn. Other figures have no committed runs, or no checks but theorems and ours.
COMMITTED = ("center_faces", "center_faces_boxes", "center_l2_baseline", "center_training_noise", "center_tvd")
COMMITTED += (
    "ablation_curves",
    "cohen_ablations",
    "cohen_curves",
    "cohen_table_cifar10_jpeg",
    "dssn_table_cifar10_jpeg",
    "training_curves_mnist",
    "training_table_mnist",
)
REPEATED = ("center_angular", "cohen_predict", "cohen_training_noise", "dssn_denoiser", "dssn_methods")
REPEATED += ("dssn_table_digits", "center_generator", "center_generator_images")  # checked in other drawings


@pytest.fixture(scope="module")
def drawn_from(figure, committed):
    """drawn_from(names) is the figure and the runs of each drawing of the figures, by name, of the committed ones."""

    def find(names):
        found = {}
        for name in names:
            chosen = figure(name)
            drawn = selection(name, chosen, committed, ()).drawn
            found |= {stem: (chosen, runs) for stem, runs in drawn.items()}
        return found

    return find


@pytest.fixture(scope="module")
def made_up(figure):
    """The figure and the runs of each drawing whose runs are made up, by name."""
    return {f"{name}, made up": (figure(name), runs) for name, runs in every_drawing().items()}


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """judged(templates) gives a function: (name, kind, seed) -> the verdicts on dummies that count as evidence."""
    monkeypatch.setattr(calibrated, "CALIBRATIONS", tmp_path)  # no certificate of ours is read from the draws
    monkeypatch.setattr(MatplotlibFigure, "draw_without_rendering", lambda _: None)  # only verdicts count here
    monkeypatch.setattr(direct_labels, "write_names", lambda axis, curves: True)

    def of(templates):
        @cache
        def verdicts(name, kind, seed):
            chosen, runs = templates[name]
            folder = tmp_path / f"{name}-{kind}-{seed}" if name.startswith("center_generator_images") else None
            claims = chosen.draw(dummies(runs, kind, seed, folder)).claims
            plt.close("all")
            return claims[claims["kind"].isin(EVIDENCE)] if len(claims) else claims

        return verdicts

    return of


def passed(verdicts, name, kind):
    """The checks, by quantity and case, that hold for a dummy with every seed."""
    held = None
    for seed in range(SEEDS if kind == "random" else 1):
        claims = verdicts(name, kind, seed)
        now = {(row.quantity, row.case) for row in claims.itertuples() if row.within}
        held = now if held is None else held & now
        if not held:
            break
    return [(name, *check) for check in held]


def held_for_a_dummy(verdicts, names):
    """The checks that hold, by kind of dummy. Prints how many were tried and hold."""
    held = {kind: [check for name in names for check in passed(verdicts, name, kind)] for kind in KINDS}
    tried = {kind: sum(len(verdicts(name, kind, 0)) for name in names) for kind in KINDS}
    print(
        f"{len(names)} drawings;", "; ".join(f"{kind}: {tried[kind]} checks, {len(held[kind])} hold" for kind in KINDS)
    )
    return held


def test_no_check_but_theorems_holds_for_a_dummy(drawn_from, made_up, judged):
    templates = drawn_from(COMMITTED)
    first = {name.partition("-")[0]: name for name in reversed(templates)}.values()
    templates |= made_up
    names, verdicts = [*first, *made_up], judged(templates)
    held = held_for_a_dummy(verdicts, names)
    assert not any(held.values()), held
    claims = pd.concat(pd.read_csv(path) for path in PAPERS.glob("*/claims.csv")).query("kind in @EVIDENCE")
    there = {quantity for name in names for quantity in verdicts(name, "abstains", 0)["quantity"]}
    assert claims.loc[~claims["quantity"].isin(there), "figure"].tolist() == ["cohen_samples"]  # which needs no runs


@pytest.mark.slow
def test_no_check_but_theorems_holds_for_a_dummy_of_any_drawing(drawn_from, made_up, judged, monkeypatch):
    templates = drawn_from((*COMMITTED, *REPEATED)) | made_up
    verdicts = judged(templates)
    held = held_for_a_dummy(verdicts, list(templates))
    assert not any(held.values()), held
    by_chance = pd.concat(verdicts(name, "random", seed) for seed in range(SEEDS) for name in templates)
    assert by_chance["within"].astype(bool).mean() < 0.03
    for place in (certified_accuracy, tables):  # a mutant: without this guard, checks are void
        monkeypatch.setattr(place, "better_than_one_class", lambda run: True)
    held = held_for_a_dummy(judged(templates), ["cohen_table_cifar10, made up", "dssn_imagenet, made up"])
    assert held["constant"]
