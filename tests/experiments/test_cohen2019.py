"""Cohen et al.'s tables and curves: from the authors' files the known numbers, from made-up counts those by hand."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy.stats import beta, norm

from experiments import composition
from experiments.cohen2019.published import published_runs, read_published
from experiments.cohen2019.results import alpha_of, certified_accuracy, radii_from_counts
from experiments.figures import CONF, draw_all
from experiments.report import find_runs
from smoothing import Gaussian, SmoothingError
from smoothing.classifier_guarantee import certificate
from smoothing.radii import high_probability_accuracy, lecuyer_radius

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / ".." / "shared" / "data" / "cohen2019"
N, ALPHA = 1000, 0.001
HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the authors' raw files are not beside the checkout"
)


def figure(name):
    node = OmegaConf.to_container(OmegaConf.load(CONF / "figure" / f"{name}.yaml"))
    return composition.build(composition.checked_group(f"figure {name}", node))


def drawn(name, out, *, source=None, results=None):
    """Draw a figure; returns its main files."""
    return draw_all(name, figure(name), results or out, source, out / "figures")


def write_run(folder, rows, certifier, sigma, trained, started="2026-01-01", weights=None):
    folder.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
    noise = {"type": "Gaussian", "sigma": sigma}
    training = {"noise": noise | {"sigma": trained} if trained else None, "epochs": 1}
    identity = {
        "dataset": {"type": "Digits"},
        "noise": noise,
        "training": training | {"weights": weights or str(folder)},
        "certifier": certifier,
        "seed": 0,
    }
    record = {"identity": identity, "config": {"name": "digits_gaussian"}, "started": started}
    (folder / "run.json").write_text(json.dumps(record))


def certify_run(root, sigma, counts, correct, trained=None, started="2026-01-01"):
    """A run as certify.py leaves it, from the count of class A of each example, of N samples."""
    rows = []
    for index, (n_a, right) in enumerate(zip(counts, correct, strict=True)):
        c = certificate(3 if right else 4, n_a, N - n_a, N, 100, Gaussian(sigma), ALPHA)
        rows.append(
            {"index": index, "label": 3, "predict": c.prediction, "radius": c.radius, "correct": c.prediction == 3}
            | {"n_a": n_a, "n_b": N - n_a, "n": N, "p_lower": c.p_lower, "status": c.status, "seconds": 0.1}
            | {"guess": c.guess}
        )
    certifier = {"type": "Certify", "n0": 100, "n": N, "alpha": ALPHA, "stop_if_misclassified": False}
    trained = sigma if trained is None else trained
    write_run(root / "digits_gaussian" / f"sigma={sigma}-{trained}", rows, certifier, sigma, trained, started)


COUNTS = [1000, 1000, 990, 900, 700, 520, 1000, 600, 999, 300]
CORRECT = [True, True, True, True, True, True, False, True, True, True]


@pytest.fixture
def runs(tmp_path):
    for sigma in (0.25, 0.5):
        certify_run(tmp_path, sigma, COUNTS, CORRECT)
    return tmp_path


def by_hand(sigma, n=N, alpha=ALPHA):
    """Radii from the definitions, with scipy."""
    lower = [beta.ppf(alpha, k * n // N, n - k * n // N + 1) for k in COUNTS]
    return np.array([sigma * norm.ppf(p) if p > 0.5 else 0 for p in lower])


def accuracy_by_hand(radii, at):
    return np.array([np.mean([c and 0 < r >= a for c, r in zip(CORRECT, radii, strict=True)]) for a in at])


@needs_published
def test_the_published_cifar10_table(tmp_path):
    (path,) = drawn("cohen_table_cifar10", tmp_path, source=PUBLISHED)
    table = pd.read_csv(path.with_suffix(".csv"))
    known = {
        0.12: [0.59, 0, 0, 0, 0, 0],
        0.25: [0.60, 0.43, 0.27, 0, 0, 0],
        0.5: [0.55, 0.41, 0.32, 0.23, 0.15, 0.09],
        1.0: [0.39, 0.34, 0.28, 0.22, 0.17, 0.14],
    }
    for sigma, row in known.items():
        ours = table[(table["sigma"] == sigma) & (table["radius"] > 0)]["accuracy"]
        assert ours.round(2).tolist() == row
    assert table["paper"].notna().all()
    assert (table["difference"] == table["accuracy"] - table["paper"]).all()
    assert 0.02 < table["difference"].abs().max() < 0.0225
    assert table["within"].all()
    assert "0.65 (0.66)" in path.read_text()
    assert r"\toprule" in path.with_suffix(".tex").read_text()


@needs_published
def test_the_published_predict_table(tmp_path):
    (path,) = drawn("cohen_predict", tmp_path, source=PUBLISHED)
    table = pd.read_csv(path.with_suffix(".csv"))
    row = table.query("N == 10000")
    assert row["share"].round(2).tolist() == row["paper"].tolist() == [0.69, 0, 0.3, 0, 0.01]
    assert table["difference"].abs().max() < 0.03
    assert table.groupby("N")["share"].sum().tolist() == pytest.approx([1.0] * 4)


@needs_published
def test_the_published_curves(tmp_path, capsys):
    (path,) = drawn("cohen_training_noise", tmp_path, source=PUBLISHED)
    assert pd.read_csv(path.with_suffix(".csv"))["training_sigma"].unique().tolist() == [0.12, 0.25, 0.5, 1]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["within"].all()
    assert len(claims) == 2
    capsys.readouterr()
    drawn("cohen_curves", tmp_path, source=PUBLISHED)
    assert capsys.readouterr().out.count("fit alpha = 0.01, not the stated 0.001") == 2
    alphas = {run.identity["noise"]["sigma"]: alpha_of(run) for run in published_runs(PUBLISHED / "certify")}
    assert alphas[0.12] == alphas[1.0] == 0.001
    assert drawn("cohen_ablations", tmp_path, source=PUBLISHED) == []  # no counts


def test_both_time_formats_and_abstentions(tmp_path):
    path = tmp_path / "certify" / "cifar10" / "resnet110" / "noise_0.25" / "test" / "sigma_0.50"
    path.parent.mkdir(parents=True)
    path.write_text(
        "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.378\t1\t15.4\n20\t7\t-1\t0.0\t0\t1:02:03.5\n"
    )
    shutil.copy(path, path.parent / "sigma_0.50.orig")
    (run,) = published_runs(tmp_path)
    assert run.identity["noise"]["sigma"] == 0.5
    assert run.identity["training"]["noise"]["sigma"] == 0.25
    assert run.table["seconds"].tolist() == [15.4, 3723.5]
    assert run.table["status"].tolist() == ["certified", "abstained"]
    assert run.table["correct"].tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    ["", "idx label\n", f"{HEADER}\n0\t3\tcat\t0.1\t1\t2\n", f"{HEADER}\n0\t3\t3\t0.1\t1\tsoon\n"],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, text):
    path = tmp_path / "sigma_0.25"
    path.write_text(text)
    with pytest.raises(SmoothingError, match=r"sigma_0\.25: not a results file"):
        read_published(path)


def test_curves_are_the_shares_counted_by_hand(runs):
    (path,) = drawn("cohen_curves", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert path.read_bytes()[:4] == b"\x89PNG"
    for sigma, curve in table.groupby("sigma"):
        expected = accuracy_by_hand(by_hand(sigma), curve["radius"])
        assert np.allclose(curve["accuracy"], expected)
        assert curve["accuracy"].iloc[0] == 0.7  # of ten one is wrong and two abstain
        reachable = curve[curve["radius"] <= curve["largest_certifiable"]]
        assert (reachable["low"] <= reachable["accuracy"]).all()
        assert (reachable["high"] > reachable["accuracy"]).all()
    assert pd.read_csv(path.with_suffix(".claims.csv"))["within"].all()


def test_the_band_is_clopper_pearsons():
    radius = np.array([0.5, 0.4, 0.3, 0.0])
    found = certified_accuracy(np.array([True, True, False, False]), radius, np.array([0.0, 0.45, 2.0]), largest=1.0)
    assert found["accuracy"].tolist() == [0.5, 0.25, 0]
    assert found["low"].tolist() == pytest.approx([beta.ppf(0.025, 2, 3), beta.ppf(0.025, 1, 4), 0])
    assert found["high"].tolist() == pytest.approx([beta.ppf(0.975, 3, 2), beta.ppf(0.975, 2, 3), 0])


def test_ablations_are_read_off_the_counts(runs):
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


def test_an_abstention_may_certify_with_more_samples(tmp_path):
    certify_run(tmp_path, 0.25, COUNTS, [True] * 10)
    (path,) = drawn("cohen_ablations", tmp_path)
    table = pd.read_csv(path.with_suffix(".csv"))
    at_zero = table[table["radius"] == 0].set_index("curve")["accuracy"]
    assert at_zero["alpha = 0.001"] == 0.8
    assert at_zero["n = 1,000,000"] == 0.9  # 520 of 1000 abstains, 520,000 of a million does not


def test_high_probability_has_the_factor_two(runs):
    (path,) = drawn("cohen_high_probability", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    loss = ALPHA + np.sqrt(2 * ALPHA * (1 - ALPHA) * np.log(1000) / 10) + np.log(1000) / 30
    assert np.allclose(table["high_probability"], np.maximum(0, table["accuracy"] - loss))
    assert high_probability_accuracy(0.7, 10, ALPHA, 0.001) == pytest.approx(table["high_probability"][0])
    assert not path.with_suffix(".claims.csv").exists()  # ten examples say nothing of the paper's claim


def test_training_noise_is_kept_apart(runs):
    certify_run(runs, 0.25, [800] * 10, CORRECT, trained=0.12)
    certify_run(runs, 0.25, [700] * 10, CORRECT, trained=0.0)
    (path,) = drawn("cohen_training_noise", runs)
    table = pd.read_csv(path.with_suffix(".csv"))
    assert sorted(table["training_sigma"].unique()) == [0, 0.12, 0.25]
    (path,) = drawn("cohen_table_digits", runs)
    rows = pd.read_csv(path.with_suffix(".csv")).query("sigma == 0.25 and radius == 0.25")
    assert rows["accuracy"].tolist() == accuracy_by_hand(by_hand(0.25), [0.25]).tolist()
    assert "paper" not in rows


def test_of_two_trainings_of_one_setting_the_last_is_drawn(runs):
    certify_run(runs / "digits_gaussian" / "again", 0.25, [0] * 10, CORRECT, started="2026-02-01")
    certify_run(runs / "digits_gaussian" / "before", 0.5, [0] * 10, CORRECT, started="2025-01-01")
    (path,) = drawn("cohen_table_digits", runs)
    at_zero = pd.read_csv(path.with_suffix(".csv")).query("radius == 0").set_index("sigma")["accuracy"]
    assert at_zero[0.25] == 0
    assert at_zero[0.5] == accuracy_by_hand(by_hand(0.5), [0])[0]


def test_a_table_with_papers_numbers_takes_only_its_own_experiment(runs):
    assert drawn("cohen_table_cifar10", runs, source=runs) == []


def test_predict_table_from_runs(tmp_path):
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


@pytest.mark.parametrize(("name", "claims"), [("cohen_bounds", 2), ("cohen_samples", 1)])
def test_theory_needs_no_runs(tmp_path, name, claims):
    (path,) = drawn(name, tmp_path)
    verdicts = pd.read_csv(path.with_suffix(".claims.csv"))
    assert verdicts["within"].tolist() == [True] * claims
    table = pd.read_csv(path.with_suffix(".csv"))
    assert np.isfinite(table["radius"]).all()
    if name == "cohen_samples":
        assert verdicts["ours"][0] == pytest.approx(np.log10(np.log(0.001) / norm.logcdf(4)), abs=1e-4)


def test_another_alpha_or_n_needs_no_model(runs, tmp_path):
    code = (
        "import sys; from pathlib import Path; from experiments.cohen2019.ablations import Ablations; "
        "from experiments.figures import draw_all; "
        f"root = Path({str(runs)!r}); chosen = Ablations(['digits_gaussian'], 0.25, [N for N in (50, 500)], [0.05]); "
        "print(len(draw_all('again', chosen, root, None, root / 'figures'))); "
        "print([m for m in sys.modules if m.partition('.')[0] in ('models', 'torchvision', 'facenet_pytorch')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "1" in done.stdout.splitlines()
    curves = pd.read_csv(runs / "figures" / "again-digits_gaussian.csv")["curve"].unique()
    assert {"n = 50", "n = 500", "alpha = 0.05"} <= set(curves)


def test_the_same_rows_give_the_same_bytes(runs, tmp_path):
    once, again = (draw_all("t", figure("cohen_table_digits"), runs, None, tmp_path / name)[0] for name in ("a", "b"))
    for suffix in (".md", ".tex", ".csv"):
        assert once.with_suffix(suffix).read_bytes() == again.with_suffix(suffix).read_bytes()


def test_every_claim_and_number_belongs_to_a_figure():
    folder = ROOT / "experiments" / "cohen2019"
    readme = (folder / "README.md").read_text()
    for file in ("expected.csv", "claims.csv"):
        table = pd.read_csv(folder / file)
        assert table.notna().all().all()
        for name in table["figure"].unique():
            assert (CONF / "figure" / f"{name}.yaml").exists()
            assert f"`{name}`" in readme
