"""No run vanishes from a figure without a word: each reason is named and counted."""

import numpy as np
import pytest

from experiments.report.figure import selection
from experiments.report.missing import counts_of_left_out
from experiments.report.sources import Source
from experiments.runs.reader import StoredRun

CERTIFY = {"type": "Certify", "n0": 100, "n": 1000, "alpha": 0.001}
ROW = {"index": 0, "label": 1, "predict": 1, "radius": 0.1, "correct": True, "n_a": 990, "n_b": 9, "n": 1000}
ROWS = [ROW | {"p_lower": 0.97, "status": "certified", "seconds": 0.1, "guess": 1}]


@pytest.fixture
def cohen_runs(tmp_path, write_run):
    """Two runs that the figure shows, and one for each reason not to."""
    folder = tmp_path / "digits_gaussian"
    write_run(folder / "shown", ROWS, CERTIFY, 0.25, 0.25)
    write_run(folder / "shown too", ROWS, CERTIFY, 0.5, 0.5)
    write_run(folder / "older", ROWS, CERTIFY, 0.25, 0.25, started="2025-01-01")
    write_run(folder / "predicted", ROWS, {"type": "Predict", "n": 1000}, 0.25, 0.25)
    for k in range(2):
        write_run(folder / f"trained otherwise {k}", ROWS, CERTIFY, 0.25, 0.12 + k)
    write_run(folder / "empty", ROWS, CERTIFY, 0.25, 0.25)
    (folder / "empty" / "certificates.csv").unlink()
    return tmp_path


def test_each_reason_is_one_line_with_a_count_and_an_example(cohen_runs, figure):
    chosen = selection("cohen_curves", figure("cohen_curves"), cohen_runs, [])
    head, *reasons = chosen.explanation()
    assert head == "5 of the 7 runs found are not shown:"
    assert reasons[0].startswith("  2: trained with another noise or sigma")
    assert "figure=cohen_training_noise" in reasons[0]
    assert reasons[0].endswith("trained otherwise 0")
    assert any("certifier Predict, and the figure takes Certify" in line for line in reasons)
    assert any("no rows yet" in line for line in reasons)
    assert any("is newer" in line and line.endswith("older") for line in reasons)
    assert "figure=compare" in reasons[-1]
    (drawn,) = chosen.drawn.values()
    assert {run.folder.name for run in drawn} == {"shown", "shown too", "older"}


def test_all_figures_together_say_one_line(cohen_runs, figure):
    names = ("cohen_curves", "cohen_predict", "dssn_methods")
    chosen = {name: selection(name, figure(name), cohen_runs, []) for name in names}
    assert counts_of_left_out(chosen)[1:] == ["  cohen_curves 5 of 7, cohen_predict 6 of 7"]
    on_one_page = counts_of_left_out(chosen, of_one_page=True)  # the other figure shows some of them
    assert on_one_page[1:] == ["  cohen_curves 4 of 7, cohen_predict 4 of 7"]


def test_the_figure_of_one_noise_level_names_the_others(cohen_runs, figure):
    chosen = selection("cohen_high_probability", figure("cohen_high_probability", sigma=0.5), cohen_runs, [])
    assert any("figure.sigma= chooses another" in line for line in chosen.explanation())


def test_our_runs_alone_are_named(write_center_run, tmp_path, figure):
    balanced = {"type": "BalancedCenterSmoothing", "n": 2000, "m": 1000, "q": 0.8, "rho": 0.1}
    write_center_run("mnist_tvd", "MNIST", "Autoencoder", "TotalVariation", 0.1, certifier=balanced)
    chosen = selection("center_tvd", figure("center_tvd"), tmp_path, [])
    assert not chosen.drawn
    assert "no run of the paper's certifier" in chosen.explanation()[1]


def test_a_noise_of_ones_own_is_named_by_every_figure(tmp_path, figure):
    """Its class may have no sigma, and may be on another machine."""
    noise = {"type": "mine.Laplace", "scale": 1.0}
    identity = {"dataset": {"type": "mine.Table"}, "model": {"type": "mine.Net"}, "noise": noise}
    identity |= {"certifier": CERTIFY, "training": {"noise": noise}, "seed": 0}
    run = StoredRun(tmp_path, {"identity": identity, "config": {"name": "digits_gaussian"}})
    for name in ("cohen_curves", "cohen_training_noise", "dssn_methods", "center_tvd", "runner_up", "cohen_time"):
        assert "takes" in figure(name).why_not(run), name


def test_a_run_in_two_sources_is_drawn_once(cohen_runs, figure):
    folder = cohen_runs / "digits_gaussian"
    sources = [Source("all", folder), Source("one", folder / "shown")]
    chosen = selection("cohen_curves", figure("cohen_curves"), cohen_runs, sources)
    assert chosen.found == 7
    assert np.unique([run.label for runs in chosen.drawn.values() for run in runs]).tolist() == ["all", "one"]
