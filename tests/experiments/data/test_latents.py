"""Latents: seeded, truncated, and not treated as images."""

import csv
import json

import numpy as np
import pytest
import torch
from scipy.stats import kstest, truncnorm

from experiments.certifying import certification
from experiments.data import Latents
from experiments.runs.run_folder import load_draws
from models.generator import BigGAN
from smoothing import SettingError
from smoothing.base_function import FrozenFunction


def test_they_are_a_truncated_normal_scaled():
    data = Latents(count=400, truncation=0.5)
    values = torch.stack([data[index] for index in data.indices()])
    assert values.shape == (400, 128)
    assert values.dtype == torch.float32
    assert values.abs().max() <= 1
    assert values.abs().max() > 0.99
    assert kstest(values.flatten().numpy() / 0.5, truncnorm(-2, 2).cdf).pvalue > 0.001
    assert abs(np.corrcoef(values.numpy())[np.triu_indices(400, 1)]).max() < 0.5  # all different


def test_one_depends_on_seed_and_index_alone():
    first = Latents()
    assert first.indices() == list(range(50))
    assert torch.equal(first[7], Latents(count=8)[7])
    assert torch.equal(2 * first[7], Latents(truncation=1)[7])
    assert not torch.equal(first[7], Latents(seed=1)[7])
    assert not torch.equal(first[7], first[6])
    assert Latents(dim=3)[0].shape == (3,)


@pytest.mark.parametrize("index", [-1, 50])
def test_there_are_so_many(index):
    with pytest.raises(IndexError, match="0 to 49"):
        Latents()[index]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, r"dataset\.dim: expected at least 1, got 0"),
        ({"count": 0}, r"dataset\.count: expected at least 1, got 0"),
        ({"seed": -1}, r"dataset\.seed: expected at least 0, got -1"),
        ({"truncation": 0}, r"dataset\.truncation: .*got 0"),
        ({"truncation": 2}, r"dataset\.truncation: .*got 2"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(SettingError, match=message):
        Latents(**settings)


@pytest.mark.slow
def test_the_generator_is_certified_on_them(settings, tmp_path):
    """BigGAN and LPIPS with random weights, and Smooth-HD: the whole experiment except the real weights."""
    given = ("model.weights=random", "metric.weights=random", "batch_size=10", "limit=1", f"results.root={tmp_path}")
    few = ("certifier.bound=exact", "certifier.n=40", "certifier.m=40", "certifier.delta=0.35", "eps=[0.001]")
    table = certification.certify(settings("experiment=imagenet_lpips", "noise.sigma=0.05", *given, *few))
    (row,) = csv.DictReader(table.open())
    assert row["status"] == "certified"
    assert 0 < float(row["smoothing_error"]) < float(row["eps_out"]) < 5
    draws, _ = load_draws(table.parent / "draws" / "0.npz")
    frozen = FrozenFunction(BigGAN("random"))  # uses another memory layout than the module, so it rounds differently
    assert torch.equal(draws.base_output, frozen(Latents()[0][None])[0])
    record = json.loads((table.parent / "run.json").read_text())["identity"]
    assert record["dataset"] == {"type": "Latents", "dim": 128, "truncation": 0.5, "count": 50, "seed": 0}
    assert record["model"] == {"type": "BigGAN", "weights": "random", "class_index": 326, "truncation": 0.5}
    assert record["metric"]["weights"] == "random"


def test_the_small_generator_is_certified_for_two_metrics_at_once(settings, tmp_path):
    """Random weights and few samples; all else is as in the experiments."""
    given = ("model.weights=random", "batch_size=40", "limit=1", f"results.root={tmp_path}", "noise.sigma=0.05")
    few = ("certifier.bound=exact", "certifier.n=40", "certifier.m=40", "certifier.delta=0.35", "eps=[0.001]")
    both = [settings(f"experiment=generator_{name}", *given, *few) for name in ("tvd", "l2")]
    for name, table in zip(("TotalVariation", "L2"), certification.certify_together(both).tables, strict=True):
        (row,) = csv.DictReader(table.open())
        assert row["status"] == "certified"
        assert float(row["smoothing_error"]) < float(row["eps_out"])
        record = json.loads((table.parent / "run.json").read_text())["identity"]
        assert record["dataset"] == {"type": "Latents", "dim": 100, "truncation": 1.0, "count": 50, "seed": 0}
        assert (record["model"], record["metric"]["type"]) == ({"type": "FaceGenerator", "weights": "random"}, name)
