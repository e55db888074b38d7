"""With every speed option, a run is the same however it was split, and certificates cover the truth."""

import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from experiments.certifying.certification import certify
from experiments.runs.table import read_table
from smoothing import L2, CenterSmoothing, Certify, Gaussian

OPTIONS = [
    ("precision=bfloat16",),
    pytest.param(("certifier=adaptive", "certifier.radius=0.1", "precision=bfloat16"), marks=pytest.mark.slow),
    pytest.param(("compiled=true", "batch_size=64"), marks=pytest.mark.slow),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_shards_and_interrupted_runs_are_the_whole_run(trained, settings, tmp_path, options):
    folder = trained()
    quick = ("trainer.epochs=3", "trainer.lr_step=2", "certifier.n=400", "device=cpu", "experiment=digits_gaussian")

    def run(name, *more):
        given = (*quick, *options, f"checkpoints.root={folder.parent}", f"results.root={tmp_path / name}")
        return certify(settings(*given, *more)).parent

    whole = read_table(run("whole", "limit=5"))
    run("resumed", "limit=2")
    resumed = read_table(run("resumed", "limit=5"))
    run("shards", "limit=5", "shard.count=2", "shard.index=0")
    shards = read_table(run("shards", "limit=5", "shard.count=2", "shard.index=1"))
    for other in (resumed, shards):
        pd.testing.assert_frame_equal(other.drop(columns="seconds"), whole.drop(columns="seconds"))


class Half(torch.nn.Module):
    """Two classes, 1 if the input's mean is positive, from a linear layer, so that any precision applies."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2, bias=False)
        self.layer.weight.data = torch.tensor([[-0.5] * 4, [0.5] * 4])

    def forward(self, batch):
        return self.layer(batch)


@pytest.mark.slow
def test_classification_certificates_cover_at_bfloat16():
    """The distance to the boundary is 0.2; rounding inputs to 8 bits moves it by less than the slack of n = 300."""
    x, alpha, above = torch.full((4,), 0.1), 0.05, 0
    for example in range(500):
        c = Certify(Half(), Gaussian(0.5), n=300, alpha=alpha, precision="bfloat16")(x, example, 1)
        above += c.radius > 0.2 * 1.01
    assert binomtest(above, 500, alpha, alternative="greater").pvalue > 1e-4


@pytest.mark.slow
def test_output_certificates_hold_at_bfloat16():
    f = torch.nn.Linear(4, 3)
    h = CenterSmoothing(f, Gaussian(0.5), L2(), n=400, m=600, delta=0.1, precision="bfloat16")
    broken = 0
    for example in range(60):
        x, direction = torch.randn(4), torch.randn(4)
        c = h.certify(x, 0.3, example=2 * example)
        there = h.smooth(x + 0.299 * direction / direction.norm(), example=2 * example + 1)
        if c.status == "certified" and not there.abstained:
            broken += float((there.center - c.center).double().norm()) > c.eps_out
    assert broken == 0
