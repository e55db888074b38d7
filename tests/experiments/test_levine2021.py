"""Levine and Feizi's tables and curves, from made-up counts: the numbers drawn are those by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from experiments import composition
from experiments.figures import CONF, drawings
from smoothing import DeterministicSplitting, Splitting, Uniform
from smoothing.classifier_guarantee import certificate
from smoothing.exact_guarantee import exact_certificate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "experiments" / "levine2021"
LEVELS, SHAPE = 16, (1, 8, 8)
N, ALPHA = 1000, 0.001
KINDS = {"uniform": "Uniform", "ssn": "Splitting", "dssn": "DeterministicSplitting"}
SHARES = [1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 1.0, 0.4]  # of the votes that class A has
RIGHT = [True, True, True, True, True, True, False, True]  # whether class A is the label


def figure(name):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "figure" / f"{name}.yaml"))
    return composition.build(composition.checked_group(f"figure {name}", node))


def drawn(name, root, **given):
    return [drawn.path for drawn in drawings(name, figure(name), root, given.get("source"), root / "figures")]


def randomised_row(index, share, right, noise):
    guess, n_a = (3 if right else 4), round(share * N)
    c = certificate(guess, n_a, N - n_a, N, 64, noise, ALPHA)
    return {
        "predict": c.prediction,
        "radius": c.radius,
        "n_a": n_a,
        "n": N,
        "status": c.status,
        "n0": 64,
        "guess": guess,
    }


def exact_row(index, share, right, noise):
    votes = [0, 0, 0, 0, 0, 0]
    votes[3 if right else 4] = round(share * noise.steps)
    votes[5] = noise.steps - sum(votes)
    c = exact_certificate(votes, noise)
    return {"predict": c.prediction, "radius": c.radius, "n_a": c.n_a, "n": c.n, "status": c.status, "levels": c.levels}


def write_run(root, method, sigma, shares=SHARES, right=RIGHT, *, data="digits", **given):
    """A run as certify.py leaves it; given: stability, denoised, seconds, started, levels, trained."""
    levels = given.get("levels", LEVELS)
    noise, make, certifier = {
        "uniform": (lambda: Uniform(sigma), randomised_row, "Certify"),
        "ssn": (lambda: Splitting(sigma, levels), randomised_row, "Certify"),
        "dssn": (lambda: DeterministicSplitting(sigma, levels, SHAPE), exact_row, "ExactCertify"),
    }[method]
    rows = []
    for index, (share, is_right) in enumerate(zip(shares, right, strict=True)):
        row = {"index": index, "label": 3, **make(index, share, is_right, noise())}
        rows.append({**row, "correct": row["predict"] == 3, "seconds": given.get("seconds", 0.1)})
    described = {"type": KINDS[method], "sigma": sigma} | ({"seed": 0} if method == "dssn" else {})
    stability = given.get("stability", 0.0)
    name = f"{data}_{method}{'_denoised' if given.get('denoised') else ''}"
    identity = {
        "dataset": {"type": data},
        "model": {"type": "Denoised" if given.get("denoised") else "SmallCNN"},
        "noise": described,
        "certifier": {"type": certifier} | ({"n0": 64, "n": N, "alpha": ALPHA} if certifier == "Certify" else {}),
        "training": {
            "type": "DenoiserTrainer" if given.get("denoised") else "Trainer",
            "noise": given.get("trained", described),
            "stability": stability,
            "weights": f"{method}{sigma}{stability}",
        },
        "seed": 0,
        "precision": "float32",
    }
    started = given.get("started", "2026-01-01")
    record = {"identity": identity, "config": {"name": name}, "started": started, "device": "a made-up machine"}
    folder = root / name / f"sigma={sigma}-{stability}-{started}"
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
    (folder / "run.json").write_text(json.dumps(record))


def accuracy(share_of_radius, at, right=RIGHT):
    """By hand: share of examples that are right and whose radius, from its share of votes, is at least `at`."""
    return np.mean([r and share_of_radius(s) >= at for s, r in zip(SHARES, right, strict=True)])


def exact_radius(sigma):
    """From the definition, with class 3 or 4 against class 5: floor((n_A - n_B) / 2) / levels, 0 where 5 wins."""
    steps = int(2 * 3**0.5 * sigma * LEVELS)

    def radius(share):
        votes = round(share * steps)
        return max(-1, (2 * votes - steps) // 2) / LEVELS if 2 * votes >= steps else -1

    return radius


@pytest.fixture
def runs(tmp_path):
    """Three noises at three sigmas, with and without stability training."""
    for method, better in (("uniform", 0.0), ("ssn", 0.02), ("dssn", 0.04)):
        for sigma in (0.25, 0.5, 2.0):
            shares = [min(1.0, s + better * sigma) for s in SHARES]
            write_run(tmp_path, method, sigma, shares)
            write_run(tmp_path, method, sigma, [min(1.0, s + 0.01) for s in shares], stability=6.0)
    return tmp_path


def test_the_table_takes_the_best_sigma_for_each_radius(tmp_path):
    for sigma in (0.25, 1.0):
        write_run(tmp_path, "dssn", sigma)
    (path,) = drawn("dssn_table_digits", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["method"].unique().tolist() == ["DSSN"]
    for row in table.itertuples():
        by_sigma = {sigma: accuracy(exact_radius(sigma), row.radius) for sigma in (0.25, 1.0)}
        assert row.accuracy == max(by_sigma.values())
        if row.accuracy:
            assert row.sigma == max(by_sigma, key=by_sigma.get)
            assert row.clean_accuracy == 6 / 8  # one of eight is wrong, and of one the label has the fewer votes
        else:
            assert np.isnan(row.sigma)
    assert table["accuracy"].nunique() > 2
    text = path.read_text()
    assert "**62.5%** (75.0% @ 1)" in text
    assert r"62.5\%" in path.with_suffix(".tex").read_text()


def test_a_radius_of_exactly_rho_is_certified_at_rho(tmp_path):
    sigma = 1.16  # L = 64 half-steps, lambda = 2
    assert DeterministicSplitting(sigma, LEVELS, SHAPE).steps == 64
    write_run(tmp_path, "dssn", sigma, [0.75, 0.75 - 1 / 64], [True, True])  # (48 - 16) / 2 / 16 = 1 exactly
    (path,) = drawn("dssn_table_digits", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).set_index("radius")["accuracy"]
    assert table[1.0] == 0.5
    assert table[1.5] == 0


def test_clean_accuracy_counts_what_is_not_certified(tmp_path):
    write_run(tmp_path, "uniform", 0.5)
    (path,) = drawn("dssn_table_digits", tmp_path)
    row = pd.read_csv(path.with_suffix(".csv")).query("radius == 0.5").iloc[0]
    assert row["clean_accuracy"] == 7 / 8  # the guess, also where 40% of the votes do not certify it
    lower = [certificate(3, round(s * N), 0, N, 64, Uniform(0.5), ALPHA).p_lower for s in SHARES]
    radii = [2 * 3**0.5 * 0.5 * (p - 0.5) for p in lower]
    assert row["accuracy"] == np.mean([r and at >= 0.5 for at, r in zip(radii, RIGHT, strict=True)])


def test_the_table_is_drawn_from_several_experiments_at_once(runs):
    (path,) = drawn("dssn_table_digits", runs)
    assert path.name == "dssn_table_digits-digits.md"
    table = pd.read_csv(path.with_suffix(".csv"))
    methods = ["uniform", "uniform + stability", "SSN", "SSN + stability", "DSSN", "DSSN + stability"]
    assert table["method"].unique().tolist() == methods
    assert len(table) == 6 * 8
    assert "paper" not in "".join(table)
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    ours = claims.set_index(["quantity", "case"])["ours"]
    best = table.pivot(index="radius", columns="method", values="accuracy")
    either = best[(best["uniform"] > 0) | (best["DSSN"] > 0)]
    quantity = "largest best certified accuracy of uniform noise above DSSN's at a radius"
    assert ours[quantity, "digits, without stability training"] == (either["uniform"] - either["DSSN"]).max()
    assert (claims["within"] == np.where(claims["relation"] == "below", claims["ours"] < 0, claims["ours"] <= 0)).all()


def test_a_claim_that_fails_is_said_to_fail(tmp_path):
    write_run(tmp_path, "uniform", 1.0, [1.0] * 8)
    write_run(tmp_path, "dssn", 1.0, [0.8] * 8)
    (path,) = drawn("dssn_table_digits", tmp_path)
    (verdict,) = pd.read_csv(path.with_suffix(".claims.csv"))["within"]
    assert not verdict


def test_papers_numbers_stand_beside_cifar10_alone(tmp_path):
    write_run(tmp_path, "dssn", 3.5, [1.0] * 80, [*([True] * 7), False] * 10, data="cifar10", levels=255)
    write_run(tmp_path, "dssn", 3.5)
    (path,) = drawn("dssn_table_cifar10", tmp_path, source=tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).set_index("radius")
    assert table.loc[4.0, ["paper_accuracy", "paper_clean_accuracy", "paper_sigma"]].tolist() == [0.3364, 0.654, 3.5]
    assert table.loc[4.0, "difference"] == pytest.approx(7 / 8 - 0.3364)
    assert not table.loc[4.0, "within"]
    left_out = 1 - 80 / 10000
    assert table.loc[4.0, "tolerance"] == pytest.approx(0.015 + 2 * (0.3364 * 0.6636 / 80 * left_out) ** 0.5)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("case")
    assert not claims.loc["DSSN, r = 4", "within"]
    assert table.loc[4.0, "clean_difference"] == pytest.approx(7 / 8 - 0.654)
    assert np.isnan(table.loc[0.5, "clean_difference"])  # the paper's best sigma there is another
    assert "33.64% (65.40% @ 3.5)" in path.read_text()
    assert "+22.10*" in path.read_text()


def test_expected_numbers_are_whole_and_agree_with_each_other():
    expected, copy = (
        pd.read_csv(FOLDER / "expected.csv").query("figure == @name")
        for name in ("dssn_table_cifar10", "dssn_table_cifar10_jpeg")
    )
    printed = ["method", "radius", "accuracy", "clean_accuracy", "sigma"]
    assert len(copy.merge(expected, on=printed)) == len(copy) > 0  # the same numbers of the paper
    assert len(expected) == 32
    assert expected.groupby("method").size().tolist() == [8] * 4
    for _, rows in expected.groupby("method"):
        assert rows["radius"].tolist() == [0.5 * k for k in range(1, 9)]
        assert rows["accuracy"].is_monotonic_decreasing
        assert (rows.groupby("sigma")["clean_accuracy"].nunique() == 1).all()
        assert (rows["accuracy"] < rows["clean_accuracy"]).all()
        assert set(rows["sigma"]) <= {0.15, *(0.25 * k for k in range(1, 15))}


def test_of_two_runs_of_one_classifier_the_last_counts(tmp_path):
    write_run(tmp_path, "dssn", 0.5)
    write_run(tmp_path, "dssn", 0.5, [0.0] * 8, started="2026-02-01")
    (path,) = drawn("dssn_table_digits", tmp_path)
    assert (pd.read_csv(path.with_suffix(".csv"))["accuracy"] == 0).all()
    assert "0.0%" in path.read_text()


def test_classifiers_trained_for_another_noise_are_left_out(tmp_path):
    write_run(tmp_path, "dssn", 0.5, trained={"type": "Uniform", "sigma": 0.5})
    assert drawn("dssn_table_digits", tmp_path) == []


def test_undefended_and_gaussian_runs_are_left_out(runs):
    folder = runs / "digits_undefended" / "clean"
    folder.mkdir(parents=True)
    pd.DataFrame([{"index": 0, "label": 1}]).to_csv(folder / "certificates.csv", index=False)
    identity = {"certifier": {"type": "DeepFool"}, "model": {"type": "SmallCNN"}}
    (folder / "run.json").write_text(json.dumps({"identity": identity, "config": {"name": "digits_undefended"}}))
    assert len(drawn("dssn_all", runs, source=runs)) == 1


def test_curves_of_the_methods(runs):
    (path,) = drawn("dssn_methods", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert sorted(table["sigma"].unique()) == [0.25, 0.5, 2.0]
    assert len(table.groupby(["method", "sigma", "stability_training"])) == 18
    for _, curve in table.groupby(["method", "sigma", "stability_training"]):
        assert curve["accuracy"].is_monotonic_decreasing
        assert curve["accuracy"].iloc[-1] == 0  # beyond lambda
        assert curve["high"].iloc[-1] == 0
        assert (curve["low"] <= curve["accuracy"]).all()
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    growth = claims[claims["quantity"].str.contains("smallest sigma less")]
    assert growth["case"].str.contains("sigma = 0.25 and 2").all()
    assert len(growth) == 2
    mean = {}
    for method in ("uniform", "DSSN"):
        for sigma in (0.25, 2.0):
            curve = table.query("method == @method and sigma == @sigma and not stability_training")
            mean[method, sigma] = np.trapezoid(curve["accuracy"], curve["radius"]) / (3**0.5 * sigma)
    by_area = (mean["DSSN", 0.25] - mean["uniform", 0.25]) - (mean["DSSN", 2.0] - mean["uniform", 2.0])
    assert growth["ours"].iloc[0] == pytest.approx(by_area, abs=0.005)


def test_uniform_noise_on_a_grid_is_drawn_with_splitting_noise(tmp_path):
    """certify.py rounds uniform noise to a grid, of which splitting noise has no need."""
    for method in ("uniform", "ssn", "dssn"):
        write_run(tmp_path, method, 0.5)
    (path,) = (tmp_path / "digits_uniform").glob("*/run.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"identity": record["identity"] | {"grid": 16}}))
    (path,) = drawn("dssn_methods", tmp_path)
    assert set(pd.read_csv(path.with_suffix(".csv"))["method"]) == {"uniform", "SSN", "DSSN"}


@pytest.mark.parametrize(
    ("sigmas", "middle", "largest"), [([0.25], 0, 0), ([0.25, 2.0], 0, 1), ([0.25, 0.5, 2.0], 1, 1)]
)
def test_claims_about_a_middle_and_a_largest_sigma_need_others_beside_it(tmp_path, sigmas, middle, largest):
    for sigma in sigmas:
        for method in ("uniform", "ssn", "dssn"):
            write_run(tmp_path, method, sigma)
    (path,) = drawn("dssn_methods", tmp_path)
    file = path.with_suffix(".claims.csv")
    claimed = pd.read_csv(file)["quantity"] if file.exists() else pd.Series(dtype=str)
    assert claimed.str.contains("at the middle sigma").sum() == middle
    assert claimed.str.contains("SSN over uniform noise at the largest sigma").sum() == largest


def test_one_row_of_panels_without_stability_runs(tmp_path):
    write_run(tmp_path, "dssn", 0.5)
    (path,) = drawn("dssn_methods", tmp_path)
    assert pd.read_csv(path.with_suffix(".csv"))["stability_training"].unique().tolist() == [False]
    assert not path.with_suffix(".claims.csv").exists()


def test_imagenet_curves_take_their_own_sigmas(tmp_path):
    for sigma in (0.25, 0.5, 2.0):
        for method in ("uniform", "dssn"):
            write_run(tmp_path, method, sigma, data="imagenet")
            write_run(tmp_path, method, sigma, data="imagenet", stability=6.0)
    (path,) = drawn("dssn_imagenet", tmp_path)
    assert path.name == "dssn_imagenet-imagenet.png"
    assert sorted(pd.read_csv(path.with_suffix(".csv"))["sigma"].unique()) == [0.5, 2.0]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    ratio = claims[claims["quantity"].str.startswith("clean accuracy")]
    assert ratio["ours"].tolist() == [1.0]
    assert ratio["within"].tolist() == [False]
    assert len(claims) == 1 + 4


def test_the_largest_radius_is_compared_where_dssn_can_certify_it_for_every_class(tmp_path):
    sigma = 0.5935  # L = 32: all 32 votes for class 3 certify 15/16, for class 0 they would certify 16/16
    for method in ("uniform", "dssn"):
        write_run(tmp_path, method, sigma, [1.0] * 8, [True] * 8, data="imagenet")
    assert certificate(3, N, 0, N, 64, Uniform(sigma), ALPHA).radius > 1
    methods = figure("dssn_imagenet")
    methods.sigma = [sigma]
    path = drawings("dssn_imagenet", methods, tmp_path, None, tmp_path / "figures")[0].path
    (claim,) = pd.read_csv(path.with_suffix(".claims.csv")).to_dict("records")
    assert claim["ours"] == 0
    assert claim["within"]


def test_other_experiments_are_left_out_of_the_papers_figures(runs):
    assert drawn("dssn_imagenet", runs, source=runs) == []


def test_every_sigma(runs):
    (path,) = drawn("dssn_all", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert len(table.groupby(["method", "sigma", "stability_training"])) == 18


def test_denoised_runs_stand_beside_the_others(runs):
    for method in ("uniform", "dssn"):
        write_run(runs, method, 0.5, [min(1.0, s + 0.1 * (method == "dssn")) for s in SHARES], denoised=True)
    (path,) = drawn("dssn_denoiser", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert sorted(set(zip(table["method"], table["sigma"], table["denoiser"], strict=True))) == [
        (method, 0.5, with_one) for method in ("DSSN", "uniform") for with_one in (False, True)
    ]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["case"].tolist() == ["digits, without denoiser, sigma = 0.5", "digits, with denoiser, sigma = 0.5"]
    assert (claims["within"] == (claims["ours"] < 0)).all()
    (table_path,) = drawn("dssn_table_digits", runs)
    assert "denoiser" not in table_path.read_text()


def test_a_denoiser_figure_takes_runs_with_one(runs):
    assert drawn("dssn_denoiser", runs) == []


def test_times_and_their_ratio(tmp_path, capsys):
    for sigma, seconds in ((0.5, 0.06), (1.0, 0.12), (3.5, 0.41)):
        write_run(tmp_path, "dssn", sigma, seconds=seconds, data="cifar10", levels=255)
        write_run(tmp_path, "uniform", sigma, seconds=13.44, data="cifar10")
        write_run(tmp_path, "uniform", sigma, seconds=99.0, data="cifar10", stability=6.0)
    (path,) = drawn("dssn_time", tmp_path)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    assert claims.loc["mean seconds of uniform noise over those of DSSN at sigma = 3.5", "ours"] == 13.44 / 0.41
    assert claims.loc["slope of log seconds of DSSN against log sigma", "ours"] == pytest.approx(0.99, abs=0.01)
    assert claims["within"].all()
    table = pd.read_csv(path.with_suffix(".csv")).set_index(["method", "sigma"])
    assert table.loc[("DSSN", 3.5), "evaluations"] == 3091
    assert table.loc[("uniform", 3.5), "evaluations"] == N + 64
    printed = capsys.readouterr().out
    assert "sigma = 3.5: uniform noise over DSSN is 32.8 in mean seconds" in printed
    assert "DSSN ran on: a made-up machine" in printed


def test_times_of_other_images_are_not_held_against_the_paper(tmp_path, capsys):
    write_run(tmp_path, "dssn", 3.5)
    write_run(tmp_path, "uniform", 3.5)
    (path,) = drawn("dssn_time", tmp_path)
    assert not path.with_suffix(".claims.csv").exists()
    assert "not held against the paper's times" in capsys.readouterr().out


def test_the_same_runs_give_the_same_bytes(runs, tmp_path):
    once, again = (drawings("m", figure("dssn_methods"), runs, None, tmp_path / name)[0].path for name in ("a", "b"))
    for suffix in (".png", ".pdf", ".csv", ".claims.csv"):
        assert once.with_suffix(suffix).read_bytes() == again.with_suffix(suffix).read_bytes()


def test_every_claim_and_number_belongs_to_a_figure():
    readme = (FOLDER / "README.md").read_text()
    for file in ("expected.csv", "claims.csv"):
        table = pd.read_csv(FOLDER / file)
        assert table.notna().all().all()
        for name in table["figure"].unique():
            assert (CONF / "figure" / f"{name}.yaml").exists()
    for file in (CONF / "figure").glob("dssn_*.yaml"):
        assert f"`{file.stem}`" in readme
        for experiment in figure(file.stem).experiments:
            assert (CONF / "experiment" / f"{experiment}.yaml").exists()
