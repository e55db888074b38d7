"""Each step from the same draws: medians by hand, calibration by noise, examples that are left out."""

import numpy as np
import pandas as pd

from experiments.papers.ours.exact_bounds import BALANCED, EQUAL, EXACT, PAPER, quantities
from smoothing import (
    BalancedSettings,
    CenterSettings,
    Gaussian,
    Jaccard,
    balanced_certificate,
    certificate,
    rechecked,
)


def middle(certificates):
    found = sorted(c.eps_out if c.status == "certified" else np.inf for c in certificates)
    return found[len(found) // 2]


def test_every_step_is_read_off_the_same_draws(face_draws, calibrate, drawn, tmp_path, capsys):
    calibrate({"Gaussian(sigma=0.2)": {}})
    (png,) = drawn("center_exact_bounds", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    steps = table[table["part"] == "steps"]
    assert set(steps["sigma"]) == {0.1, 0.2}
    assert set(steps[steps["sigma"] == 0.1]["step"]) == {PAPER, EXACT}
    said = capsys.readouterr().out
    assert "no calibration, so only the bounds of center smoothing: sigma = 0.1" in said
    assert "Median eps_out after each step at sigma = 0.2" in said  # drawn, although the figure asks for the nearest
    steps = steps[steps["sigma"] == 0.2]
    noise, kept = Gaussian(0.2), face_draws[0.2].values()
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


def test_the_reach_is_the_largest_radius_within_the_wanted_one(face_draws, calibrate, drawn, tmp_path):
    calibrate({"Gaussian(sigma=0.2)": {}})
    (png,) = drawn("center_exact_bounds", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    reached = table[(table["part"] == "reach") & (table["step"] == BALANCED)]
    assert len(reached) > 5
    for point in reached.to_dict("records"):
        for factor, within in ((0.999, True), (1.001, False)):
            given = BalancedSettings(0.8, 0.04)
            eps = point["eps_in"] * factor
            checked = [rechecked(d, 0.04) for d in face_draws[0.2].values()]
            out = middle([balanced_certificate(d, eps, Gaussian(0.2), Jaccard(), given) for d in checked])
            assert not within or out <= point["eps_out"]
            if not within and point["eps_in"] > 0:
                assert out > point["eps_out"]


def test_examples_of_the_calibration_are_left_out_and_grids_do_not_matter(face_draws, calibrate, drawn, tmp_path):
    calibrate({"Gaussian(sigma=0.2, grid=255)": {"examples": [3, 4]}})
    (png,) = drawn("center_exact_bounds", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert table[table["sigma"] == 0.2]["examples"].dropna().unique().tolist() == [3]
    assert table[table["sigma"] == 0.1]["examples"].dropna().unique().tolist() == [5]


def test_without_a_calibration_the_two_bounds_are_read_off_the_draws(face_draws, calibrate, drawn, tmp_path, capsys):
    calibrate({"Gaussian(sigma=0.25)": {}})
    (png,) = drawn("center_exact_bounds", tmp_path, sigma=0.1)
    steps = pd.read_csv(png.with_suffix(".csv")).query("part == 'steps'")
    assert set(steps["step"]) == {PAPER, EXACT}
    for sigma, kept in face_draws.items():
        for step, bound in ((PAPER, "paper"), (EXACT, "exact")):
            given = CenterSettings(bound, 0.07, 0.005, 0.005)
            ours = steps[(steps["sigma"] == sigma) & (steps["h"] == 1)].set_index("step")["eps_out"]
            assert ours[step] == middle(
                [certificate(d, sigma, Gaussian(sigma), Jaccard(), given) for d in kept.values()]
            )
    assert np.isinf(steps[(steps["h"] == 2) & (steps["step"] == PAPER)]["eps_out"]).all()  # 1000 distances are too few
    assert "Median eps_out after each step at sigma = 0.1" in capsys.readouterr().out
    claims = pd.read_csv(png.with_suffix(".claims.csv"))
    assert not claims["quantity"].str.contains("balanced").any()


def test_samples_needed_are_beside_the_steps(face_draws, calibrate, drawn, tmp_path):
    calibrate({"Gaussian(sigma=0.2)": {}})
    (png,) = drawn("center_exact_bounds", tmp_path)
    text = png.with_suffix(".md").read_text()
    assert "40,822 (42,322)" in text
    assert "*" not in text.partition("tolerance.")[2]
    claims = pd.read_csv(png.with_suffix(".claims.csv"))
    assert (claims["claim"].str.startswith("not a claim of the paper")).sum() == 20


def test_a_calibration_that_tried_no_other_q(face_draws, calibrate, drawn, tmp_path, capsys):
    calibrate({"Gaussian(sigma=0.2)": {"by_q": []}})
    (png,) = drawn("center_exact_bounds", tmp_path)
    table = pd.read_csv(png.with_suffix(".csv"))
    assert set(table["step"].dropna()) == {PAPER, EXACT, BALANCED}
    assert (table["part"] != "q").all()
    assert "no rho for q = 1/2: sigma = 0.2" in capsys.readouterr().out


def test_the_worst_noise_level_decides():
    rows = [
        {"h": 1, "sigma": sigma, "step": step, "eps_out": out}
        for sigma, values in ((0.1, (3.0, 2.0, 1.0, 1.5)), (0.2, (np.inf, 4.0, 3.0, np.inf)))
        for step, out in zip((PAPER, EXACT, EQUAL, BALANCED), values, strict=True)
    ]
    found = quantities(pd.DataFrame(rows))
    assert [list(cases.values()) for cases in found.values()] == [[2 / 3], [np.inf], [np.inf]]
