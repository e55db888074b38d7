"""Each step from the same draws: medians by hand, calibration by noise, examples that are left out."""

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from experiments.certifying.rows import row
from experiments.config.identity import identity
from experiments.papers.ours import balanced_steps
from experiments.papers.ours.balanced_steps import BALANCED, EQUAL, EXACT, PAPER, quantities
from experiments.runs.run_folder import RunFolder
from experiments.runs.table import Schema, TableWriter
from smoothing import (
    BalancedSettings,
    CenterDraws,
    CenterSettings,
    CenterSmoothing,
    Gaussian,
    Jaccard,
    balanced_certificate,
    certificate,
    rechecked,
)

BOX = torch.tensor([30.0, 40.0, 120.0, 150.0])
M = 1000


@pytest.fixture
def draws(settings, tmp_path):
    """Two runs of five photographs, sigma = 0.1 and 0.2. Returns the draws of each."""
    rng, found = np.random.default_rng(1), {}
    for sigma in (0.1, 0.2):
        plain = settings("experiment=faces_jaccard", f"noise.sigma={sigma}", f"results.root={tmp_path}")
        folder = RunFolder(tmp_path, plain, identity(plain, ""))
        folder.begin("cpu", {})
        with TableWriter(folder.table_path, Schema.of(CenterSmoothing)) as table:
            for index in range(5):
                distances = np.sort(np.abs(rng.normal(0, 0.04 * (index + 1) * sigma, M)))
                kept = CenterDraws(BOX, BOX, 0.02, n=1500, inside=1000, distances=distances, smoothing_error=0.01)
                folder.save(index, kept, 1.0)
                claimed = certificate(kept, sigma, Gaussian(sigma), Jaccard(), CenterSettings("exact", 0.07))
                table.write([row(Schema.of(CenterSmoothing), claimed, index=index, seconds=1.0)])
                found.setdefault(sigma, {})[index] = kept
    return found


@pytest.fixture
def calibrate(tmp_path, monkeypatch):
    """calibrate({noise: changes}) writes the calibration of faces_jaccard."""
    monkeypatch.setattr(balanced_steps, "CALIBRATIONS", tmp_path)

    def write(entries):
        by_q = [
            {"q": 0.5, "rho": 0.02, "median_eps_out": [0.1, 0.2]},
            {"q": 0.8, "rho": 0.04, "median_eps_out": [0.2, 0.2]},
        ]
        entry = {"q": 0.8, "rho": 0.04, "eps": [0.1, 0.2], "examples": [], "by_q": by_q}
        content = {"calibration": {noise: entry | changes for noise, changes in entries.items()}}
        (tmp_path / "faces_jaccard.yaml").write_text(yaml.safe_dump(content))

    return write


def middle(certificates):
    found = sorted(c.eps_out if c.status == "certified" else np.inf for c in certificates)
    return found[len(found) // 2]


def test_every_step_is_read_off_the_same_draws(draws, calibrate, drawn, tmp_path, capsys):
    calibrate({"Gaussian(sigma=0.2)": {}})
    (png,) = drawn("balanced_steps", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    steps = table[table["part"] == "steps"]
    assert set(steps["sigma"]) == {0.2}
    assert "left out: sigma = 0.1" in capsys.readouterr().out
    noise, kept = Gaussian(0.2), draws[0.2].values()
    for h in (1, 2, 3, 4):
        ours = steps[steps["h"] == h].set_index("step")["eps_out"]
        for step, bound in ((PAPER, "paper"), (EXACT, "exact")):
            given = CenterSettings(bound, 0.07, 0.005, 0.005)
            assert ours[step] == middle([certificate(d, h * 0.2, noise, Jaccard(), given) for d in kept])
        for step, q, rho in ((EQUAL, 0.5, 0.02), (BALANCED, 0.8, 0.04)):
            given = BalancedSettings(q, rho)
            found = [balanced_certificate(rechecked(d, rho), h * 0.2, noise, Jaccard(), given) for d in kept]
            assert ours[step] == middle(found)
    assert np.isfinite(steps[(steps["step"] == BALANCED) & (steps["h"] < 3)]["eps_out"]).all()
    assert (table["part"] == "q").sum() == 4


def test_the_reach_is_the_largest_radius_within_the_wanted_one(draws, calibrate, drawn, tmp_path):
    calibrate({"Gaussian(sigma=0.2)": {}})
    (png,) = drawn("balanced_steps", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    reached = table[(table["part"] == "reach") & (table["step"] == BALANCED)]
    assert len(reached) > 5
    for point in reached.to_dict("records"):
        for factor, within in ((0.999, True), (1.001, False)):
            given = BalancedSettings(0.8, 0.04)
            eps = point["eps_in"] * factor
            checked = [rechecked(d, 0.04) for d in draws[0.2].values()]
            out = middle([balanced_certificate(d, eps, Gaussian(0.2), Jaccard(), given) for d in checked])
            assert not within or out <= point["eps_out"]
            if not within and point["eps_in"] > 0:
                assert out > point["eps_out"]


def test_examples_of_the_calibration_are_left_out_and_grids_do_not_matter(draws, calibrate, drawn, tmp_path):
    calibrate({"Gaussian(sigma=0.2, grid=255)": {"examples": [3, 4]}})
    (png,) = drawn("balanced_steps", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table["examples"].dropna().unique().tolist() == [3]


def test_nothing_is_drawn_without_a_calibration(draws, calibrate, drawn, tmp_path):
    assert drawn("balanced_steps", tmp_path) == []
    calibrate({"Gaussian(sigma=0.25)": {}})
    assert drawn("balanced_steps", tmp_path) == []


def test_a_calibration_that_tried_no_other_q(draws, calibrate, drawn, tmp_path, capsys):
    calibrate({"Gaussian(sigma=0.2)": {"by_q": []}})
    (png,) = drawn("balanced_steps", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert set(table["step"].dropna()) == {PAPER, EXACT, BALANCED}
    assert "no rho for q = 1/2: sigma = 0.2" in capsys.readouterr().out


def test_the_worst_noise_level_decides():
    rows = [
        {"h": 1, "sigma": sigma, "step": step, "eps_out": out}
        for sigma, values in ((0.1, (3.0, 2.0, 1.0, 1.5)), (0.2, (np.inf, 4.0, 3.0, np.inf)))
        for step, out in zip((PAPER, EXACT, EQUAL, BALANCED), values, strict=True)
    ]
    found = quantities(pd.DataFrame(rows))
    assert [list(cases.values()) for cases in found.values()] == [[2 / 3], [np.inf], [np.inf]]
