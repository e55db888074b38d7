"""Two bounds on the runner-up from the same counts: radii by hand, runs that are left out, checks that can fail."""

import json

import pandas as pd
import pytest

from smoothing import Gaussian, SettingError, Splitting
from smoothing.class_bounds import ClassBounds

N, ALPHA = 10_000, 0.001
COUNTS = [(10_000, 0), (7000, 400), (4500, 700), (5100, 4900)]  # n_a and n_b
LABELS = [3, 3, 3, 4]  # the class is 3


def radius_of(n_a, n_b, noise, classes, runner_up):
    p_a, p_b = ClassBounds(ALPHA, runner_up).at(n_a, n_b, N, classes)
    return noise.radius(p_a, p_b) if p_a > p_b else 0.0


@pytest.fixture
def write_counts(tmp_path):
    """write_counts(name, noise, ...) writes a run of the counts, as certify.py does before it stored p_upper."""

    def write(
        name, noise, *, trained=None, stability=0.0, classes=(), scale=1.0, started="2026-01-01", certifier="Certify"
    ):
        rows = []
        for index, ((n_a, n_b), label) in enumerate(zip(COUNTS, LABELS, strict=True)):
            radius = scale * radius_of(n_a, n_b, noise, 10, "complement")
            status = "certified" if radius else "abstained"
            row = {"index": index, "label": label, "predict": 3 if radius else -1, "radius": radius, "guess": 3}
            row |= {"correct": bool(radius) and label == 3, "n_a": n_a, "n_b": n_b, "n": N, "n0": 100, "status": status}
            rows.append(row)
        described = {"type": type(noise).__name__, "sigma": noise.sigma}
        training = {"noise": described | {"sigma": trained or noise.sigma}, "stability": stability, "weights": started}
        identity = {"dataset": {"type": "Digits"}, "noise": described, "training": training, "seed": 0}
        identity["certifier"] = {"type": certifier, "n0": 100, "n": N, "alpha": ALPHA}
        record = {"identity": identity, "started": started, "classes": list(classes)}
        record["config"] = {"name": name, "dataset": {"_target_": "experiments.data.Digits"}}
        folder = tmp_path / name / f"{noise.sigma}-{trained}-{stability}-{started}-{certifier}"
        folder.mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / "certificates.csv", index=False)
        (folder / "run.json").write_text(json.dumps(record))

    return write


def table_of(path):
    return pd.read_csv(path.with_suffix(".csv"), keep_default_na=False)


def test_both_radii_come_from_the_same_counts(write_counts, drawn, tmp_path):
    noise = Gaussian(0.5)
    write_counts("digits_gaussian", noise)
    (png,) = drawn("runner_up", tmp_path)
    (row,) = table_of(png).to_dict("records")
    assert (row["panel"], row["classes"], row["examples"]) == ("digits, Gaussian noise", 10, 4)
    radii = {kind: [radius_of(*c, noise, 10, kind) for c in COUNTS] for kind in ("complement", "bounded")}
    for kind, found in radii.items():
        assert row[f"acr_{kind}"] == pytest.approx(sum(found[:3]) / 4)  # the last example's label is another class
        assert row[f"correct_{kind}"] == sum(r > 0 for r in found[:3]) / 4
        assert row[f"abstained_{kind}"] == sum(r == 0 for r in found) / 4
    assert radii["complement"][2] == 0 < radii["bounded"][2]
    assert row["largest_loss"] == pytest.approx(radii["complement"][0] - radii["bounded"][0])
    claims = pd.read_csv(png.with_suffix(".claims.csv")).set_index("quantity")["within"]
    assert claims["largest difference between a radius read again and the stored radius"]
    assert claims["largest share that abstains only with a bound on every other class"]
    assert f"{row['acr_complement']:.4f} / {row['acr_bounded']:.4f}" in png.with_suffix(".md").read_text()


def test_radii_that_the_counts_do_not_give_are_found(write_counts, drawn, tmp_path):
    write_counts("digits_gaussian", Gaussian(0.5), scale=0.99)
    (png,) = drawn("runner_up", tmp_path)
    claims = pd.read_csv(png.with_suffix(".claims.csv")).set_index("quantity")["within"]
    assert not claims["largest difference between a radius read again and the stored radius"]


def test_a_run_s_own_classes_come_before_the_figure_s(write_counts, drawn, tmp_path):
    write_counts("digits_gaussian", Gaussian(0.5), classes="abcdef")
    (png,) = drawn("runner_up", tmp_path)
    assert table_of(png)["classes"].tolist() == [6]
    write_counts("digits_uniform", Gaussian(0.25))
    with pytest.raises(SettingError, match="class 4, so more than 4 classes"):
        drawn("runner_up", tmp_path, classes=4)


def test_panels_curves_and_runs_that_are_left_out(write_counts, drawn, tmp_path):
    for sigma in (0.5, 1.0):
        write_counts("digits_gaussian", Gaussian(sigma))
        for stability in (0.0, 6.0):
            write_counts("digits_ssn", Splitting(sigma, 16), stability=stability)
    write_counts("digits_gaussian", Gaussian(1.0), started="2026-01-02", scale=0.9)  # other weights: replaces
    write_counts("digits_gaussian", Gaussian(0.5), trained=1.0)
    write_counts("digits_gaussian", Gaussian(0.5), certifier="Adaptive")
    (png,) = drawn("runner_up", tmp_path)
    table = table_of(png)
    assert table[["panel", "curve", "sigma"]].to_numpy().tolist() == [
        ["digits, Gaussian noise", "", 0.5],
        ["digits, Gaussian noise", "", 1.0],
        *(["digits, splitting noise", f"stability = {s}", sigma] for s in (0, 6) for sigma in (0.5, 1.0)),
    ]
    assert table["difference"].gt(1e-3).tolist() == [False, True, False, False, False, False]
