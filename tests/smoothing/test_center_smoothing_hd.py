"""Smooth-HD: the best of a few candidates, what that adds to the failure probability, and the memory that it takes."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from smoothing import L2, CenterSmoothing, CenterSmoothingHD, Gaussian, SettingError, TotalVariation
from smoothing import center_smoothing_hd as hd_module
from smoothing.center_smoothing import best_center
from smoothing.cursor import noisy_inputs
from smoothing.metrics import LPIPS
from smoothing.sampling import Drawn
from smoothing.statistics import exact_median_margin, hoeffding_median_margin
from smoothing.streams import Stage, Stream

SIGMA = 0.5


def identity(batch):
    return batch


class Medoids(L2):
    """L2 without candidates beside the outputs."""

    def candidates(self, outputs):
        return outputs[:0]


def smoothing(f=identity, metric=None, **changes):
    settings = {"n": 300, "m": 500, "candidates": 20, "delta": 0.2} | changes
    return CenterSmoothingHD(f, Gaussian(SIGMA), metric or L2(), **settings)


def outputs_of(h, x, count, stage):
    stream = Stream(h.seed, 0, stage)
    return torch.cat(list(noisy_inputs(x, Gaussian(SIGMA), count, stream, 32)))


def test_the_candidate_with_the_smallest_median_distance_wins():
    h, x = smoothing(metric=Medoids()), torch.zeros(4)
    candidates, samples = outputs_of(h, x, 20, Stage.SELECTION), outputs_of(h, x, 300, Stage.CENTER)
    medians = [(samples.double() - c.double()).norm(dim=1).sort().values[149] for c in candidates]
    found = h.smooth(x)
    assert torch.equal(found.center, candidates[int(np.argmin(medians))])
    assert found.center_radius == pytest.approx(float(min(medians)), rel=1e-12)
    assert smoothing().smooth(x).center_radius < found.center_radius  # with the means of halves of the candidates


@pytest.mark.parametrize("metric", [L2(), Medoids()])
def test_with_all_samples_as_candidates_it_is_plain_center_smoothing(metric, monkeypatch):
    monkeypatch.setattr(hd_module, "Stage", SimpleNamespace(SELECTION=Stage.CENTER, CENTER=Stage.CENTER))
    monkeypatch.setattr(Drawn, "require_fresh", lambda self, requests: None)  # which refuses this
    h, x = smoothing(metric=metric, candidates=300), torch.zeros(3)
    plain = CenterSmoothing(identity, Gaussian(SIGMA), metric, n=300, m=500, delta=0.2)
    ours, theirs = h.smooth(x), plain.smooth(x)
    assert torch.equal(ours.center, theirs.center)
    assert (ours.center_radius, ours.inside) == (theirs.center_radius, theirs.inside)
    assert best_center(outputs_of(h, x, 300, Stage.CENTER), metric)[1] == ours.center_radius


@pytest.mark.parametrize(("bound", "margin"), [("paper", hoeffding_median_margin), ("exact", exact_median_margin)])
def test_the_chance_that_all_candidates_miss_is_added(bound, margin):
    h = smoothing(bound=bound, candidates=9, alpha1=0.01, alpha2=0.02, m=2000)
    c = h.certify(torch.zeros(2), 0.1)
    assert c.status == "certified"
    assert c.failure_probability == pytest.approx(0.03 + (0.5 - margin(300, 0.005)) ** 9, rel=1e-12)
    assert c.failure_probability > 0.0301
    assert h.certify(torch.zeros(2), 100.0).failure_probability == 0.0


def test_the_factor_is_ten_for_gamma_2_and_three_even_for_numbers():
    class Squared(L2):
        gamma = 2.0

        def _distance(self, a, b):
            return super()._distance(a, b) ** 2

    for metric, outputs, factor in ((Squared(), 3, 10.0), (L2(), 3, 3.0), (L2(), 1, 3.0)):
        c = smoothing(lambda b, k=outputs: b[:, :k], metric).certify(torch.zeros(3), 0.1)
        assert c.eps_out == pytest.approx(factor * c.distance_quantile, rel=1e-12)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_the_batch_size_changes_nothing(batch_size):
    expected = smoothing().certify(torch.zeros(3), 0.1)
    found = smoothing(batch_size=batch_size).certify(torch.zeros(3), 0.1)
    assert (found.eps_out, found.center_radius) == (expected.eps_out, expected.center_radius)


def test_samples_are_reported_and_never_used_twice():
    seen, counted = [], []
    h = smoothing(lambda batch: seen.append(batch.clone()) or batch, on_samples=counted.append, batch_size=20)
    assert h.certify(torch.zeros(2), 0.1).status == "certified"
    assert sum(counted) == h.samples == 20 + 2 * 300 + 500
    noisy = torch.cat([batch for batch in seen if len(batch) == 20])  # those of the probe aside
    assert len(noisy.unique(dim=0)) == len(noisy) == h.samples


def test_one_set_of_draws_answers_many_eps():
    h = smoothing()
    draws = h.draw(torch.zeros(2), example=0)
    for eps in (0.05, 0.1, 0.2):
        assert h.read(draws, eps).eps_out == h.certify(torch.zeros(2), eps, example=0).eps_out


@pytest.mark.parametrize("bound", ["paper", "exact"])
def test_so_few_candidates_that_all_may_miss_are_refused(bound):
    with pytest.raises(SettingError, match=r"certifier\.candidates: 3 may all miss .* more than alpha1") as error:
        smoothing(candidates=3, bound=bound)
    assert "\n" not in str(error.value)
    least = int(str(error.value).split("at least ")[1].split()[0])
    assert smoothing(candidates=least, bound=bound).all_miss(300) <= 0.005
    with pytest.raises(SettingError):
        smoothing(candidates=least - 1, bound=bound)
    with pytest.raises(SettingError, match=r"certifier\.candidates: expected at least 1, got 0"):
        smoothing(candidates=0)
    with pytest.raises(SettingError, match=r"certifier\.n: 20 samples always abstain"):
        smoothing(n=20)


@pytest.mark.parametrize(("share", "status"), [(0.02, "certified"), (0.9, "abstained")])
def test_a_base_function_that_returns_nan_for_some_samples(share, status):
    cutoff = SIGMA * float(torch.special.ndtri(torch.tensor(1 - share)))
    h = smoothing(lambda b: torch.where(b[:, :1] > cutoff, torch.nan, b[:, 1:]), delta=0.3)
    assert h.certify(torch.zeros(3), 0.05).status == status


@pytest.mark.long
def test_images_under_total_variation_and_lpips():
    x = torch.rand(1, 16, 16)
    for metric, samples in ((TotalVariation(span=1), 300), (LPIPS("random"), 150)):  # of 60, one in thirty x abstained
        h = CenterSmoothingHD(torch.sigmoid, Gaussian(0.01), metric, n=samples, m=60, delta=0.3, candidates=10)
        c = h.certify(x, 0.002)
        assert c.status == "certified"
        assert 0 < c.smoothing_error < c.eps_out < metric.largest_distance((1, 16, 16))


MEASURE = """
import sys, torch
from pathlib import Path
from smoothing import CenterSmoothingHD, Gaussian, L2

def megabytes(name):
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
weight = torch.randn(16, 3 * 64 * 64)

def smooth(n):
    h = CenterSmoothingHD(lambda z: torch.tanh(z @ weight).view(-1, 3, 64, 64), Gaussian(0.1), L2(),
                          n=n, m=60, candidates=10, delta=0.3, batch_size=50)
    h.smooth(torch.zeros(16))

def peak(n):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    smooth(n)
    return megabytes("VmHWM")

smooth(500)  # libraries are mapped page by page, where they are first used
few = peak(500)
print(peak(int(sys.argv[1])) - few)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.slow
def test_memory_does_not_grow_with_the_samples():
    """5000 outputs take 221 MB more than 500: the peak of a process must not show it."""
    at_once = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed leaves the process: no gaps are counted
    command = [sys.executable, "-c", MEASURE, "5000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=at_once)
    assert float(done.stdout) < 40


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["paper", "exact"])
@pytest.mark.parametrize("candidates", [5, 30])
def test_the_guarantee_at_a_shifted_input_holds_as_often_as_it_says(bound, candidates):
    """Two points, 0 and 1: an eps_out below 1 claims that f_hat(x) = f_hat(x'); both sides draw afresh."""
    alpha = 0.05
    changes = {"n": 120, "m": 150, "alpha1": alpha, "alpha2": alpha, "bound": bound, "batch_size": 512}
    h = smoothing(lambda b: (b[:, :1] > 0).float(), Medoids(), candidates=candidates, **changes)
    claims = violations = 0
    for repetition in range(1500):
        start, eps = -SIGMA * (0.3 + 1.5 * repetition / 1500), 0.5 * SIGMA
        c = h.certify(torch.tensor([start]), eps, example=2 * repetition)
        there = h.smooth(torch.tensor([start + eps]), example=2 * repetition + 1)
        if c.status == "certified" and c.eps_out < 1 and not there.abstained:
            claims += 1
            violations += abs(float(there.center) - float(c.center)) > c.eps_out
    assert claims > 150
    assert not binomtest(violations, claims, 2 * alpha + h.all_miss(120), alternative="greater").pvalue < 1e-4


@pytest.mark.slow
def test_the_winners_median_is_within_beta_as_often_as_it_says():
    """A heavy tail, where a candidate may well lie outside of the ball of mass 1/2 + Delta_1 about 0.

    The winner's median distance exceeds twice that ball's radius with probability at most alpha1 / 2 + all_miss, which
    is large here on purpose: 2 candidates that all miss in about one run of five.
    """
    h = smoothing(lambda b: b[:, :1] ** 3, Medoids(), n=200, candidates=5, alpha1=0.1)
    delta1 = exact_median_margin(200, 0.05)
    radius = float((SIGMA * torch.special.ndtri(torch.tensor(0.75 + delta1 / 2, dtype=torch.float64))) ** 3)
    runs = 1500
    late = sum(h.smooth(torch.zeros(1), example=i).center_radius > 2 * radius for i in range(runs))
    assert not binomtest(late, runs, 0.05 + h.all_miss(200), alternative="greater").pvalue < 1e-4
