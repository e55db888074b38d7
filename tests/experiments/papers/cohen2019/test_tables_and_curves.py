"""Cohen et al.'s tables and curves, from made-up counts: the numbers match those counted by hand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, norm

from experiments.papers.cohen2019 import ablations
from experiments.papers.cohen2019.results import radii_from_counts
from experiments.report.certified_accuracy import certified_accuracy
from experiments.report.figure import CONF, selection
from experiments.runs.reader import StoredRun, find_runs
from smoothing import Gaussian
from smoothing.class_bounds import ClassBounds
from smoothing.classifier_guarantee import certificate
from smoothing.radii import high_probability_accuracy, lecuyer_radius

ROOT = Path(__file__).parents[4]
N, ALPHA = 1000, 0.001


COUNTS = [1000, 1000, 990, 900, 700, 520, 1000, 600, 999, 300]
CORRECT = [True, True, True, True, True, True, False, True, True, True]


@pytest.fixture
def certify_run(write_run):
    """A run in certify.py's format, from each example's count of class A among N samples."""

    def certified(root, sigma, counts, correct, trained=None, started="2026-01-01"):
        rows = []
        for index, (n_a, right) in enumerate(zip(counts, correct, strict=True)):
            c = certificate(index + (not right), n_a, N - n_a, N, 100, Gaussian(sigma), ClassBounds(ALPHA), 11)
            rows.append(
                {"index": index, "label": index, "predict": c.prediction, "radius": c.radius}
                | {"correct": c.prediction == index}
                | {"n_a": n_a, "n_b": N - n_a, "n": N, "p_lower": c.p_lower, "status": c.status, "seconds": 0.1}
                | {"guess": c.guess}
            )
        certifier = {"type": "Certify", "n0": 100, "n": N, "alpha": ALPHA, "stop_if_misclassified": False}
        trained = sigma if trained is None else trained
        write_run(root / "digits_gaussian" / f"sigma={sigma}-{trained}", rows, certifier, sigma, trained, started)

    return certified


@pytest.fixture
def runs(tmp_path, certify_run):
    for sigma in (0.25, 0.5):
        certify_run(tmp_path, sigma, COUNTS, CORRECT)
    return tmp_path


def by_hand(sigma, n=N, alpha=ALPHA):
    """Radii computed from the definitions with scipy."""
    lower = [beta.ppf(alpha, k * n // N, n - k * n // N + 1) for k in COUNTS]
    return np.array([sigma * norm.ppf(p) if p > 0.5 else 0 for p in lower])


def accuracy_by_hand(radii, at):
    return np.array([np.mean([c and 0 < r >= a for c, r in zip(CORRECT, radii, strict=True)]) for a in at])


def test_curves_are_the_shares_counted_by_hand(drawn, runs):
    (path,) = drawn("cohen_curves", runs, files=True)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert path.read_bytes()[:4] == b"\x89PNG"
    for sigma, curve in table.groupby("sigma"):
        expected = accuracy_by_hand(by_hand(sigma), curve["radius"])
        assert np.allclose(curve["accuracy"], expected)
        assert curve["accuracy"].iloc[0] == 0.7  # of ten one is wrong and two abstain
        reachable = curve[curve["radius"] <= curve["largest_certifiable"]]
        assert (reachable["low"] <= reachable["accuracy"]).all()
        assert (reachable["high"] > reachable["accuracy"]).all()
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims[claims["quantity"].str.contains("sigma Phi")]["within"].all()


def test_the_band_is_clopper_pearsons():
    radius = np.array([0.5, 0.4, 0.3, 0.0])
    found = certified_accuracy(np.array([True, True, False, False]), radius, np.array([0.0, 0.45, 2.0]), largest=1.0)
    assert found["accuracy"].tolist() == [0.5, 0.25, 0]
    assert found["low"].tolist() == pytest.approx([beta.ppf(0.025, 2, 3), beta.ppf(0.025, 1, 4), 0])
    assert found["high"].tolist() == pytest.approx([beta.ppf(0.975, 3, 2), beta.ppf(0.975, 2, 3), 0])


def test_ablations_are_read_off_the_counts(drawn, runs):
    (path,) = drawn("cohen_ablations", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert table["sigma"].unique().tolist() == [0.25]
    for name, n, alpha in (("n = 100", 100, ALPHA), ("n = 100,000", 100_000, ALPHA), ("alpha = 1e-05", N, 1e-5)):
        curve = table[table["curve"] == name]
        assert np.allclose(curve["accuracy"], accuracy_by_hand(by_hand(0.25, n, alpha), curve["radius"])), name
    (run,) = (run for run in find_runs(runs) if run.identity["noise"]["sigma"] == 0.25)
    lower = beta.ppf(ALPHA, COUNTS[2], N - COUNTS[2] + 1)
    assert radii_from_counts(run, N, ALPHA, lecuyer_radius)[2] == pytest.approx(lecuyer_radius(0.25, lower))
    assert np.allclose(radii_from_counts(run, N, ALPHA), run.table["radius"], rtol=1e-12)
    assert pd.read_csv(path.with_suffix(".claims.csv"))["within"].tolist() == [True] * 4


def test_an_abstention_may_certify_with_more_samples(drawn, tmp_path, certify_run):
    certify_run(tmp_path, 0.25, COUNTS, [True] * 10)
    (path,) = drawn("cohen_ablations", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    at_zero = table[table["radius"] == 0].set_index("curve")["accuracy"]
    assert at_zero["alpha = 0.001"] == 0.8
    assert at_zero["n = 1,000,000"] == 0.9  # 520 of 1000 abstains, 520,000 of a million does not


def test_high_probability_has_the_factor_two(drawn, runs):
    (path,) = drawn("cohen_high_probability", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    loss = ALPHA + np.sqrt(2 * ALPHA * (1 - ALPHA) * np.log(1000) / 10) + np.log(1000) / 30
    assert np.allclose(table["high_probability"], np.maximum(0, table["accuracy"] - loss))
    assert high_probability_accuracy(0.7, 10, ALPHA, 0.001) == pytest.approx(table["high_probability"][0])
    assert not path.with_suffix(".claims.csv").exists()  # ten examples say nothing of the paper's claim


def test_training_noise_is_kept_apart(drawn, runs, certify_run):
    certify_run(runs, 0.25, [800] * 10, CORRECT, trained=0.12)
    certify_run(runs, 0.25, [700] * 10, CORRECT, trained=0.0)
    (path,) = drawn("cohen_training_noise", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert sorted(table["training_sigma"].unique()) == [0, 0.12, 0.25]
    (path,) = drawn("cohen_table_digits", runs)
    rows = pd.read_csv(path.with_suffix(".csv")).query("sigma == 0.25 and radius == 0.25")
    assert rows["accuracy"].tolist() == accuracy_by_hand(by_hand(0.25), [0.25]).tolist()
    assert "paper" not in rows


def test_one_training_noise_is_not_compared(figure, runs, certify_run):
    chosen = selection("cohen_training_noise", figure("cohen_training_noise"), runs, [])
    assert not chosen.drawn
    assert any("only one training noise was certified" in line for line in chosen.explanation())
    certify_run(runs, 0.25, [700] * 10, CORRECT, trained=0.0)
    assert selection("cohen_training_noise", figure("cohen_training_noise"), runs, []).drawn


def test_each_of_several_drawings_says_what_tells_it_apart(figure, runs):
    path = next(runs.rglob("run.json"))
    record = json.loads(path.read_text())
    record["identity"]["certifier"]["n0"] = 200
    path.write_text(json.dumps(record))
    drawn = selection("cohen_table_digits", figure("cohen_table_digits"), runs, []).draw(runs / "figures")
    notes = [one.drawing.notes[0] for one in drawn]  # each has one sigma, which tells them apart too
    assert sorted(note.partition(",")[0] for note in notes) == ["With certifier.n0 = 100", "With certifier.n0 = 200"]


def test_a_classifier_trained_on_clean_images_stands_beside_the_others(drawn, runs, certify_run):
    """`noisy` follows from the training noise, so it does not count as a different setting."""
    certify_run(runs, 0.25, [700] * 10, CORRECT, trained=0.0)
    for path in runs.rglob("run.json"):
        record = json.loads(path.read_text())
        record["identity"]["training"]["noisy"] = record["identity"]["training"]["noise"] is not None
        path.write_text(json.dumps(record))
    (path,) = drawn("cohen_training_noise", runs)
    assert sorted(pd.read_csv(path.with_suffix(".csv"))["training_sigma"].unique()) == [0, 0.25]


@pytest.mark.parametrize("counts", [[520] * 10, [0] * 10])
def test_a_run_far_from_its_largest_radius_is_drawn(drawn, tmp_path, certify_run, counts):
    certify_run(tmp_path, 1.0, counts, CORRECT)
    (path,) = drawn("cohen_curves", tmp_path)
    assert pd.read_csv(path.with_suffix(".csv"))["accuracy"].eq(0).all()


def test_radii_from_counts_are_those_of_the_runs_own_grid(runs):
    run = find_runs(runs)[0]
    on_a_grid = StoredRun(run.folder, run.record | {"identity": run.identity | {"grid": 255}})
    plain, rounded = (radii_from_counts(each, N, ALPHA) for each in (run, on_a_grid))
    assert (rounded[plain > 0] < plain[plain > 0]).all()
    p_lower = run.table["p_lower"][0]
    assert rounded[0] == pytest.approx(Gaussian(run.identity["noise"]["sigma"], 255).radius(p_lower), rel=1e-12)


def test_of_two_trainings_of_one_setting_the_last_is_drawn(drawn, runs, certify_run):
    certify_run(runs / "digits_gaussian" / "again", 0.25, [0] * 10, CORRECT, started="2026-02-01")
    certify_run(runs / "digits_gaussian" / "before", 0.5, [0] * 10, CORRECT, started="2025-01-01")
    (path,) = drawn("cohen_table_digits", runs)
    at_zero = pd.read_csv(path.with_suffix(".csv")).query("radius == 0").set_index("sigma")["accuracy"]
    assert at_zero[0.25] == 0
    assert at_zero[0.5] == accuracy_by_hand(by_hand(0.5), [0])[0]


def test_a_table_with_papers_numbers_takes_only_its_own_experiment(drawn, runs):
    assert drawn("cohen_table_cifar10", runs, source=runs) == []


def test_predict_table_from_runs(drawn, tmp_path, write_run):
    for n, answers in ((100, [3, 3, -1, 5, 4]), (1000, [3, 3, 3, 4, 4])):
        rows = [
            {"index": i, "label": 3, "predict": p, "correct": p == 3, "n_a": n, "n_b": 0, "n": n, "p_value": 0.0}
            for i, p in enumerate(answers)
        ]
        certifier = {"type": "Predict", "n": n, "alpha": ALPHA}
        write_run(tmp_path / "digits_gaussian" / f"{n}", rows, certifier, 0.25, 0.25, weights="same")
    (path,) = drawn("cohen_predict", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv")).pivot(index="N", columns="outcome", values="share")
    assert table.loc[100, "correct and accurate"] == 0.4
    assert table.loc[100, "incorrect and accurate"] == 0.2
    assert table.loc[100, "incorrect and inaccurate"] == 0.2
    assert table.loc[100, "abstained"] == 0.2
    assert table.loc[1000, "correct and accurate"] == 0.6


@pytest.mark.parametrize(("most", "held"), [(10_000, False), (100_000, True)])
def test_papers_predictions_are_held_against_as_good_a_stand_in_for_g(drawn, tmp_path, write_run, most, held):
    for n in (100, most):
        rows = [
            {"index": i, "label": 3, "predict": 3, "correct": True, "n_a": n, "n_b": 0, "n": n, "p_value": 0.0}
            for i in range(5)
        ]
        certifier = {"type": "Predict", "n": n, "alpha": ALPHA}
        write_run(tmp_path / "imagenet_gaussian" / f"{n}", rows, certifier, 0.25, 0.25, weights="same")
    (path,) = drawn("cohen_predict", tmp_path)
    assert path.with_suffix(".claims.csv").exists() == held


@pytest.mark.parametrize(("name", "claims"), [("cohen_bounds", 2), ("cohen_samples", 1)])
def test_theory_needs_no_runs(drawn, tmp_path, name, claims):
    (path,) = drawn(name, tmp_path)
    verdicts = pd.read_csv(path.with_suffix(".claims.csv"))
    assert verdicts["within"].tolist() == [True] * claims
    table = pd.read_csv(path.with_suffix(".csv"))
    assert np.isfinite(table["radius"]).all()
    if name == "cohen_samples":
        assert verdicts["ours"][0] == pytest.approx(np.log10(np.log(0.001) / norm.logcdf(4)), abs=1e-4)


def test_another_alpha_or_n_needs_no_model(runs):
    code = (
        "import sys; from pathlib import Path; from matplotlib.figure import Figure; "
        "Figure.savefig = lambda *_, **__: None; from experiments.papers.cohen2019.ablations import Ablations; "
        "from experiments.report.figure import drawings; "
        f"root = Path({str(runs)!r}); chosen = Ablations(['digits_gaussian'], 0.25, [N for N in (50, 500)], [0.05]); "
        "print(len(drawings('again', chosen, root, None, root / 'figures'))); "
        "print([m for m in sys.modules if m.partition('.')[0] in ('models', 'torchvision', 'facenet_pytorch')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "1" in done.stdout.splitlines()
    curves = pd.read_csv(runs / "figures" / "again-digits_gaussian.csv")["curve"].unique()
    assert {"n = 50", "n = 500", "alpha = 0.05"} <= set(curves)


def test_the_same_rows_give_the_same_bytes(drawn, runs, tmp_path):
    once, again = (drawn("cohen_table_digits", tmp_path / name, results=runs)[0] for name in ("a", "b"))
    for suffix in (".md", ".tex", ".csv"):
        assert once.with_suffix(suffix).read_bytes() == again.with_suffix(suffix).read_bytes()


def test_every_claim_and_number_belongs_to_a_figure():
    folder = ROOT / "experiments" / "papers" / "cohen2019"
    readme = (folder / "README.md").read_text()
    for file in ("expected.csv", "claims.csv"):
        table = pd.read_csv(folder / file)
        assert table.notna().all().all()
        for name in table["figure"].unique():
            assert (CONF / "figure" / f"{name}.yaml").exists()
            assert f"`{name}`" in readme


def test_what_the_paper_says_of_a_low_and_a_high_sigma(drawn, runs):
    (path,) = drawn("cohen_curves", runs)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    accuracy = claims.loc["certified accuracy at radius 0 at the largest sigma over that at the smallest"]
    assert accuracy["ours"] == 1  # the counts are the same
    assert not accuracy["within"]
    beyond = claims.loc[
        "certified accuracy at the smallest sigma less that at the largest, beyond every radius of the smallest"
    ]
    reach = by_hand(0.25).max()
    assert beyond["ours"] == -np.mean(CORRECT & (by_hand(0.5) > reach))
    assert beyond["tolerance"] < 0  # the noise of ten examples
    assert beyond["within"] == (beyond["ours"] < beyond["tolerance"])


def test_how_little_alpha_matters_is_a_number(drawn, runs, monkeypatch):
    (unasked,) = drawn("cohen_ablations", runs, alpha=[0.1, 0.001], sigma=0.5)
    assert len(pd.read_csv(unasked.with_suffix(".claims.csv"))) == 4  # the paper has more samples
    monkeypatch.setattr(ablations, "PAPERS_N", N)
    (path,) = drawn("cohen_ablations", runs, alpha=[0.1, 0.001], sigma=0.5)
    table = pd.read_csv(path.with_suffix(".csv")).query("panel == 'alpha'")
    quantity = "mean certified accuracy lost from the largest alpha to the smallest at radii that both reach"
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    radii = table["radius"].unique()
    large, small = (accuracy_by_hand(by_hand(0.5, alpha=alpha), radii) for alpha in (0.1, 0.001))
    reached = (large > 0) & (small > 0)
    assert claims.loc[quantity, "ours"] == pytest.approx((large - small)[reached].mean())
    assert claims.loc[quantity, "case"] == "sigma = 0.5, alpha = 0.1 and alpha = 0.001"


@pytest.mark.parametrize(("right", "most", "share"), [(10, 10_000, 0.25), (30, 10_000, 0.75), (10, 5_000, None)])
def test_on_which_examples_predict_abstains(drawn, tmp_path, write_run, right, most, share):
    """40 abstentions at N = 100, and the share of them on which g is correct. Too few samples cannot stand in for g."""
    for n, known in ((100, 0), (most, right)):
        answers = [i if i < known else -1 if n == 100 else 99 for i in range(40)]
        rows = [
            {"index": i, "label": i, "predict": p, "correct": p == i, "n_a": n, "n_b": 0, "n": n, "p_value": 0.0}
            for i, p in enumerate(answers)
        ]
        certifier = {"type": "Predict", "n": n, "alpha": ALPHA}
        write_run(tmp_path / "digits_gaussian" / f"{n}", rows, certifier, 0.25, 0.25, weights="same")
    (path,) = drawn("cohen_predict", tmp_path)
    file = path.with_suffix(".claims.csv")
    if share is None:
        assert not file.exists()
        return
    (claim,) = pd.read_csv(file).itertuples()
    assert claim.quantity == "share of the abstentions on examples that g has right"
    assert claim.ours == share
    assert claim.within == (share < 0.5)
