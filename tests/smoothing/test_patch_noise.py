"""Band and block ablation: what a patch touches, what is sampled, and the bounds that follow."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_grid import GRID, STEPS_APART, Q, noise_of
from small_patches import patches

from smoothing import BandAblation, BlockAblation, Certify, ExactCertify, SettingError
from smoothing.streams import Stage, Stream

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
STREAM = Stream(seed=0, example=0, stage=Stage.ESTIMATION)
SHAPES = [(1, 3, 3), (2, 3, 5), (1, 5, 2), (1, 1, 4), (1, 4, 1)]
ALL = [
    (kind, size, shape)
    for kind in (BandAblation, BlockAblation)
    for shape in SHAPES
    for size in range(1, (shape[2] if kind is BandAblation else min(shape[1:])) + 1)
]


@pytest.mark.parametrize(("kind", "size", "shape"), ALL)
def test_every_patch_touches_as_many_noisy_inputs_as_counted(kind, size, shape):
    noise, x = kind(size, shape), torch.zeros(shape)
    clean = noise.copies(x, 0, noise.steps)
    assert (~clean.isnan()).sum(dim=(1, 2, 3)).unique().tolist() == [
        shape[0] * size * (shape[1] if kind is BandAblation else size)
    ]  # also where it wraps around
    assert len({tuple(row) for row in clean.isnan().flatten(1).tolist()}) == noise.steps or size in shape[1:]
    for m in range(max(shape[1:]) + 1):
        seen = set()
        for mask in patches(shape, m):
            there = noise.copies(torch.where(mask, 1.0, x), 0, noise.steps)
            seen.add(int((clean.nan_to_num(-1) != there.nan_to_num(-1)).flatten(1).any(dim=1).sum()))
        assert seen == {noise.affected(m)}, m
        assert noise.affected(m + 0.9) == noise.affected(m)
        assert noise.affected(noise.reach(noise.affected(m))) == noise.affected(m)


def test_counts_by_hand():
    assert BlockAblation(2, (1, 8, 8)).affected(3) == 16  # 16 of 64, figure 1 of the paper
    assert [BandAblation(3, (1, 8, 8)).affected(m) for m in range(9)] == [0, 3, 4, 5, 6, 7, 8, 8, 8]
    assert [BlockAblation(2, (1, 3, 6)).affected(m) for m in range(6)] == [0, 4, 9, 12, 15, 18]
    assert [BandAblation(3, (1, 8, 8)).reach(k) for k in (0, 2, 3, 4, 7)] == [0, 0, 1, 2, 5]


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_splitting_noise_is_affected_once_for_each_step(steps):
    noise = noise_of(steps)
    copies = torch.stack([noise.copies(x / Q, 0, steps) for x in GRID])
    for apart in range(Q * 3 + 1):
        first, second = (apart == STEPS_APART).nonzero(as_tuple=True)
        differ = (copies[first] != copies[second]).any(dim=-1).sum(dim=1)
        assert int(differ.max()) == min(steps, noise.affected(apart / Q))
        assert noise.reach(apart) == apart / Q
    assert [noise.affected(eps) for eps in (0, 0.19, 0.2, 0.6 - 1e-16, 0.79)] == [0, 0, 1, 3, 3]


def test_samples_are_the_noisy_inputs_equally_often():
    for noise in (BandAblation(2, (1, 3, 5)), BlockAblation(2, (1, 3, 4))):
        x = torch.rand(noise.shape)
        known = {
            tuple(row): k for k, row in enumerate(noise.copies(x, 0, noise.steps).nan_to_num(-1).flatten(1).tolist())
        }
        drawn = torch.cat([noise.sample(x, 64, STREAM.block(k, CPU)) for k in range(60)])
        each = noise.sample_each(x.expand(2000, *noise.shape), STREAM.block(99, CPU))
        for found in (drawn, each):
            numbers = [known[tuple(row)] for row in found.nan_to_num(-1).flatten(1).tolist()]
            assert chisquare(np.bincount(numbers, minlength=noise.steps)).pvalue > 1e-4


@pytest.mark.parametrize("noise", [BandAblation(4, (1, 28, 28)), BlockAblation(12, (3, 28, 28))], ids=str)
def test_shift_mass_and_radius_follow_from_what_is_affected(noise):
    for eps in (0, 0.9, 1, 5.5, 28):
        share = noise.affected(eps) / noise.steps
        for p in (0.4, 0.7, 0.99):
            assert max(0, p - share - 1e-9) <= noise.shift(p, eps) <= max(0, p - share)
            assert min(1, p + share) <= noise.mass(p, eps) <= p + share + 1e-9
    for p_a, p_b in ((0.9, None), (0.8, 0.05), (1.0, 0.0), (0.3, 0.4), (0.55, 0.45)):
        radius, gap = noise.radius(p_a, p_b), p_a - (1 - p_a if p_b is None else p_b)
        assert radius == int(radius)
        assert not radius or gap > 2 * noise.affected(radius) / noise.steps
        assert radius == 28 or gap <= 2 * noise.affected(radius + 1) / noise.steps + 1e-9


def test_sampled_certificates_claim_no_more_than_exact_ones():
    x, noise = torch.zeros(1, 8, 8), BlockAblation(2, (1, 8, 8))
    x[0, 2:4, 2:5] = 1

    def f(batch):
        white = batch.flatten(1).nanmean(dim=1)
        return torch.stack([0.4 - white, white], dim=1)

    exact, sampled = ExactCertify(f, noise)(x, 0), Certify(f, noise, n0=50, n=5000, alpha=0.01)(x, 0)
    assert 0 < sampled.radius <= exact.radius
    assert (sampled.prediction, exact.prediction) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (BandAblation, (0, (1, 8, 8)), r"noise\.size: expected at least 1"),
        (BandAblation, (9, (1, 8, 8)), r"noise\.size: expected 1 to 8 pixels of an image \(1, 8, 8\), got 9"),
        (BlockAblation, (4, (1, 3, 8)), r"noise\.size: expected 1 to 3"),
        (BlockAblation, (1.5, (1, 8, 8)), r"noise\.size"),
        (BandAblation, (2, (8, 8)), r"noise\.shape: expected \(channels, H, W\)"),
    ],
)
def test_arguments_out_of_range(kind, given, message):
    with pytest.raises(SettingError, match=message):
        kind(*given)


def test_an_input_of_another_shape_is_refused():
    with pytest.raises(SettingError, match=r"expected shape \(1, 8, 8\), as the noise's, got \(1, 8, 7\)"):
        ExactCertify(lambda x: x.flatten(1), BandAblation(3, (1, 8, 8)))(torch.zeros(1, 8, 7), 0)
