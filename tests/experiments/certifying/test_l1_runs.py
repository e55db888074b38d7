"""Runs with the l1 noises on a briefly trained network for digits."""

import json

import pandas as pd
import pytest
import torch

from experiments.certifying import certification
from experiments.data import Digits
from experiments.training import checkpoints, loop
from smoothing import Certify, DeterministicSplitting, ExactCertify, SettingError

SHORT = ("trainer.epochs=3", "device=cpu", "limit=12", "noise.sigma=0.5")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture
def run(settings, root, tmp_path):
    """run("experiment=digits_dssn", ..., results="a") -> the table's path; trains first if necessary."""

    def certified(*overrides, results="results", train=True):
        plain = settings(*overrides, f"checkpoints.root={root}", f"results.root={tmp_path / results}")
        if train:
            loop.train(plain)
        return certification.certify(plain)

    return certified


def rows(path):
    return pd.read_csv(path).drop(columns="seconds")


def test_dssn_certifies_exactly_and_keeps_its_offsets(run, root, capsys):
    path = run("experiment=digits_dssn", *SHORT)
    out = capsys.readouterr().out
    assert "L=27, seed=0): lambda = 0.84375, rounded down from 0.8660254" in out
    table = pd.read_csv(path)
    assert tuple(table.columns) == ExactCertify.columns
    assert set(table["status"]) == {"certified"}
    assert set(table["failure_probability"]) == {0.0}
    assert (table["n"] == 27).all()
    assert (table["radius"] == table["radius_steps"] / 16).all()
    assert ((table["n_a"] - table["n_b"]) // 2 - table["radius_steps"]).isin([0, 1]).all()
    record = json.loads((path.parent / "run.json").read_text())
    kept = json.loads(dssn_checkpoint(root).read_text())
    assert record["noise_state"] == kept["noise_state"]
    assert record["input"] == {"norm": "l1", "units": "pixels in [0, 1]"}
    noise = DeterministicSplitting(0.5, 16, (1, 8, 8), seed=5)
    noise.restore(record["noise_state"])
    assert torch.equal(noise.offsets, DeterministicSplitting(0.5, 16, (1, 8, 8), seed=0).offsets)


def test_dssn_tables_are_the_same_for_two_runs_batch_sizes_and_numbers_of_threads(run):
    few = (*SHORT, "limit=4")
    first = rows(run("experiment=digits_dssn", *few))
    threads = torch.get_num_threads()
    try:
        for i, (batch_size, count) in enumerate([(250, 1), (7, 1), (250, 2), (1, 2)]):
            torch.set_num_threads(count)
            again = run("experiment=digits_dssn", *few, f"batch_size={batch_size}", results=f"again{i}")
            pd.testing.assert_frame_equal(rows(again), first, check_exact=True)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("experiment", ["digits_uniform", "digits_ssn"])
def test_the_randomised_noises_go_through_certify(run, experiment, capsys):
    path = run(f"experiment={experiment}", *SHORT, "certifier.n=500")
    assert "lambda = 0.86602" in capsys.readouterr().out
    table = pd.read_csv(path)
    assert tuple(table.columns) == Certify.columns
    assert (table["n0"] == 64).all()
    certified = table[table["status"] == "certified"]
    assert len(certified) > 0
    expected = 2 * 0.8660254 * (certified["p_lower"] - 0.5)
    assert certified["radius"].to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-4)


def test_stability_training_makes_another_classifier_and_another_run(run):
    paths = {run("experiment=digits_dssn", *SHORT, f"trainer.stability={weight}") for weight in (0, 6)}
    assert len(paths) == 2
    found = {json.loads((path.parent / "run.json").read_text())["identity"]["training"]["stability"] for path in paths}
    assert found == {0.0, 6.0}


def dssn_checkpoint(root):
    for file in root.glob("Digits-SmallCNN-sigma0.5-seed0-*/checkpoint.json"):
        if json.loads(file.read_text())["trained_as"]["trainer"]["stability"] == 0:
            return file
    raise FileNotFoundError(root)


def edited(root, change):
    """Change the metadata of the DSSN checkpoint. Returns a function that restores it."""
    file = dssn_checkpoint(root)
    before = file.read_text()
    metadata = json.loads(before)
    change(metadata)
    file.write_text(json.dumps(metadata))
    return lambda: file.write_text(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["noise_state"].clear(), "no offset vector is stored with the weights"),
        (lambda m: m.pop("noise_state"), "no offset vector is stored with the weights"),
        (lambda m: m["noise_state"].update(levels=255), "levels is 16, but 255 in the checkpoint's offsets"),
        (lambda m: m["noise_state"].update(offsets="????"), "offset vector is damaged"),
    ],
)
def test_a_checkpoint_without_its_offsets_or_of_another_grid_is_refused(run, root, change, message):
    run("experiment=digits_dssn", *SHORT)
    restore = edited(root, change)
    try:
        with pytest.raises(SettingError, match=message) as caught:
            run("experiment=digits_dssn", *SHORT, results="other", train=False)
        assert "\n" not in str(caught.value)
    finally:
        restore()


def test_another_offset_vector_is_another_function(run, root):
    """The offsets in the checkpoint are used, not those that the seed would give."""
    path = run("experiment=digits_dssn", *SHORT)
    other = DeterministicSplitting(0.5, 16, (1, 8, 8), seed=9).state()
    restore = edited(root, lambda m: m.update(noise_state=other))
    try:
        again = run("experiment=digits_dssn", *SHORT, results="other", train=False)
    finally:
        restore()
    assert json.loads((again.parent / "run.json").read_text())["noise_state"] == other
    assert not rows(again)["n_a"].equals(rows(path)["n_a"])


def test_an_image_off_the_grid_is_refused(run, monkeypatch):
    monkeypatch.setattr(Digits, "__getitem__", lambda self, index: torch.full((1, 8, 8), 0.3))
    with pytest.raises(SettingError, match=r"input: 0.3 is not a multiple of 1/16"):
        run("experiment=digits_dssn", *SHORT)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["experiment=digits_dssn", "noise.sigma=0.01"], "noise.sigma: 0.01 gives 0 split positions.*at least 0.018"),
        (["experiment=digits_gaussian", "certifier=exact", "limit=1"], "noise: Gaussian.*noise=dssn"),
        (["experiment=digits_dssn", "dataset=faces"], "needs quantised images, and Faces has none"),
    ],
)
def test_settings_that_cannot_be_are_refused(run, overrides, message):
    with pytest.raises(SettingError, match=message) as caught:
        run("trainer.epochs=3", "device=cpu", *overrides)
    assert "\n" not in str(caught.value)


def test_clean_weights_under_dssn_take_the_offsets_of_the_seed(run, settings, root):
    """allow_mismatch with a checkpoint without offsets: the offsets of noise.seed are used and recorded."""
    clean = settings("experiment=digits_gaussian", "trainer.epochs=3", f"checkpoints.root={root}", "device=cpu")
    loop.train(clean)
    folder = checkpoints.folder(clean, clean.dataset.build())
    path = run("experiment=digits_dssn", *SHORT, f"checkpoint={folder}", "allow_mismatch=true", train=False)
    state = json.loads((path.parent / "run.json").read_text())["noise_state"]
    assert state == DeterministicSplitting(0.5, 16, (1, 8, 8), seed=0).state()
