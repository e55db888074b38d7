"""The training methods beside the published logs: what is compared, and what is not."""

import numpy as np
import pandas as pd
import pytest
from dummies import stored
from scipy.stats import t

from experiments.config.experiment import experiment
from experiments.config.identity import identity_hash
from experiments.papers.training import TrainingCurves, TrainingTable
from experiments.papers.training.published import METHODS, expected, logs
from experiments.papers.training.results import ACR, ALL, EPOCHS, EVERY, EXPECTED, TRAINERS, by_method, numbers
from experiments.report.figure import CONF, selection
from experiments.training.checkpoints import METADATA, read, weights_hash
from experiments.training.weights import TRAINED
from smoothing.radii import largest_radius

SIGMA = 0.5
INDICES = {EVERY: range(0, 10_000, 20), ALL: range(10_000), None: range(500)}


def published(method=None, images=EVERY):
    table = pd.read_csv(EXPECTED, dtype={"quantity": str}).query("images == @images and sigma == @SIGMA")
    return table if method is None else table.query("method == @method").set_index("quantity")


def run(trainer="Trainer", images=EVERY, shift=0.0, started="2026", seed=0, **certifier):
    """A run whose certified accuracy is the published one, but for the rounding of shares and a shift of all radii."""
    index = np.array(INDICES[images])
    shares = published(TRAINERS[trainer], images or EVERY)["paper"].drop(ACR)
    radii = np.interp(np.linspace(0, 1, len(index)), [0, *(1 - shares), 1], [-0.01, *shares.index.astype(float), 1.9])
    noise = {"type": "Gaussian", "sigma": SIGMA}
    identity = {
        "dataset": {"type": "MNIST"},
        "model": {"type": "LeNet"},
        "noise": noise,
        "certifier": {"type": "Certify", "n0": 100, "n": 100_000, "alpha": 0.001} | certifier,
        "training": {"type": trainer, "epochs": EPOCHS, "seed": seed, "noise": noise},
    }
    label = index // 20 % 10
    table = pd.DataFrame({"index": index, "label": label, "radius": (radii + shift).clip(0), "correct": radii > 0})
    table = table.assign(predict=np.where(table["correct"], label, (label + 1) % 10), status="certified")
    return stored(EXPECTED.parent, {"identity": identity, "config": {"name": "mine"}, "started": started}, table)


@pytest.mark.parametrize("images", [EVERY, ALL])
def test_a_run_is_compared_with_the_published_numbers_of_its_own_images(images):
    table = numbers(by_method([run(images=images)])).set_index("quantity")
    beside = published("Gaussian", images)
    assert table.index.tolist() == beside.index.tolist()
    assert table["paper"].tolist() == beside["paper"].tolist()
    assert table.drop(index=ACR)["within"].all()  # radii between those of the shares are made up
    assert not numbers(by_method([run(images=images, shift=-0.1)])).set_index("quantity")["within"].all()


@pytest.mark.parametrize("other", [{"n": 10_000}, {"alpha": 0.01}, {"runner_up": "bounded"}, {"images": None}])
def test_other_certificates_and_images_are_not_compared(other):
    table = numbers(by_method([run(**other)]))
    assert table["paper"].isna().all()
    assert (table["within"].isna()).all()
    assert len(TrainingTable([]).draw([run(**other)]).claims) == 0


def test_a_run_that_certifies_nothing_agrees_with_nothing():
    nothing = run()
    nothing.table["radius"], nothing.table["correct"] = 0.0, False
    table = numbers(by_method([nothing]))
    assert len(table) > 5
    assert not table["within"].astype(bool).any()


def test_of_two_runs_of_a_method_the_newer_one_is_drawn():
    old, new = run(started="2025", shift=-0.2), run(started="2026")
    assert list(by_method([new, old]).values()) == [new]
    assert list(TrainingTable([]).left_out([new, old]).values()) == [[old]]


def test_another_seed_is_judged_beside_the_first_and_not_drawn():
    seeds = [run("MacerTrainer", seed=1), run("MacerTrainer", shift=-0.2)]
    assert list(by_method(seeds)) == [("MACER", 0.5), ("MACER, seed 1", 0.5)]
    assert TrainingTable([]).left_out(seeds) == {}
    table = numbers(by_method(seeds))
    paper = [part["paper"].tolist() for _, part in table.groupby("method")]
    assert paper[0] == paper[1]
    drawn = TrainingCurves([]).draw(seeds)
    assert set(drawn.table["method"]) == {"MACER"}
    assert any("the first seed is drawn" in note for note in drawn.notes)


def test_the_order_of_the_methods_is_judged_on_the_same_images():
    of = [run("Trainer"), run("StabilityTrainer"), run("ConsistencyTrainer")]
    claims = TrainingCurves([]).draw(of).claims.set_index("quantity")
    assert set(claims.index) == {"ACR of Gaussian less that of stability", "ACR of stability less that of consistency"}
    assert claims["within"].all()
    worse = run("ConsistencyTrainer", shift=-0.5)
    claims = TrainingCurves([]).draw([of[1], worse]).claims
    assert claims["within"].tolist() == [False]


def test_the_committed_runs_have_the_published_numbers(committed):
    """One in 20 may be outside its 95 % interval. MACER's differ, as remarks.csv says."""
    figure = TrainingTable([path.stem for path in (CONF / "experiment").glob("mnist_*.yaml")])
    runs = selection("training_table_mnist", figure, committed, ()).drawn["training_table_mnist-LeNet"]
    printed = figure.draw(runs).claims
    assert (printed["quantity"] == ACR).sum() == 11
    another = printed[printed["case"].str.startswith("MACER, seed 1, sigma = ")]
    assert another["within"].sum() >= 0.85 * len(another) > 20
    assert another.loc[another["quantity"] == ACR, "within"].all()
    others = printed[~printed["case"].str.startswith("MACER")]
    assert len(others) > 70
    assert others["within"].sum() >= 0.95 * len(others)
    assert others.loc[others["quantity"] == ACR, "within"].all()
    order = TrainingCurves([]).draw(runs).claims
    assert len(order) == 4
    assert order["within"].all()


def test_expected_numbers_are_computed_from_logs(tmp_path):
    rng = np.random.default_rng(0)
    index, values = np.arange(100), {}
    for seed in (1, 2, 3):
        radius, correct = rng.uniform(0, 2, 100), rng.integers(2, size=100)
        values[seed] = np.where(correct, radius, 0).mean()
        path = tmp_path / "data" / "certify" / "mnist" / "cohen" / f"noise_1.00_{seed}"
        path.parent.mkdir(parents=True, exist_ok=True)
        log = pd.DataFrame({"idx": index, "label": 0, "predict": 0, "radius": radius, "correct": correct, "time": "0"})
        log.to_csv(path, sep="\t", index=False)
    path.with_name("noise_1.00_3_acc").write_text("not a log")
    found = expected(logs([tmp_path, tmp_path])).set_index(["images", "quantity"])
    every = [*values.values()]
    assert found.loc[(ALL, ACR), "paper"] == pytest.approx(np.mean(every), abs=1e-5)
    interval = t.ppf(0.975, 2) * np.std(every, ddof=1) * np.sqrt(4 / 3)
    assert found.loc[(ALL, ACR), "tolerance"] == pytest.approx(interval, abs=1e-5)
    assert (found["paper"] > found["tolerance"]).all()
    assert max(float(q) for _, q in found.index if q != ACR) <= largest_radius(1.0, 100_000, 0.001)


def test_all_published_methods_have_an_experiment_and_numbers():
    table = pd.read_csv(EXPECTED)
    assert set(table["method"]) == set(METHODS) == set(TRAINERS.values())
    assert (table["seeds"] >= 5).all()
    for trainer, method in TRAINERS.items():
        name = experiment(f"mnist_{method.lower()}").config.trainer["_target_"]
        assert name.rpartition(".")[2] == trainer


@pytest.mark.parametrize("folder", sorted(TRAINED.glob("*/")), ids=lambda folder: folder.name)
def test_a_network_of_the_suite_is_whole_and_is_found_by_its_settings(folder):
    metadata = read(folder)
    assert folder.name.endswith(identity_hash(metadata["trained_as"]))
    assert weights_hash(folder / "weights.safetensors") == metadata["weights"]
    assert (
        metadata["epochs"] == len(pd.read_csv(folder / "training.csv")) == metadata["trained_as"]["trainer"]["epochs"]
    )
    assert metadata["epochs"] == EPOCHS or metadata["trained_as"]["model"]["type"] != "LeNet"
    assert (folder / "weights.safetensors").stat().st_size < 2_000_000
    assert {path.name for path in folder.iterdir()} == {METADATA, "weights.safetensors", "training.csv"}
