"""The noises against l1: exactness on the grid, distributions, and shift, mass and radius."""

from fractions import Fraction
from math import ceil, sqrt

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp, kstest, uniform

from smoothing import DeterministicSplitting, SettingError, Splitting, Uniform
from smoothing.cursor import noisy_inputs
from smoothing.noise.l1 import require_grid, steps_of
from smoothing.streams import BlockSource, Stage, Stream

CPU = torch.device("cpu")
STREAM = Stream(seed=0, example=3, stage=Stage.ESTIMATION)
SIGMAS = [0.1, 0.25, 0.5 / sqrt(3) + 1e-9, 0.4, 1.0, 3.5]  # lambda below, at and above 1/2


def grid_image(levels, shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, levels + 1, shape)) / levels


def splitting_as_printed(x: Fraction, s: Fraction, period: Fraction) -> Fraction:
    """Levine and Feizi, eqs. 27 and 28, in rational numbers."""
    c = ceil((x - s) / period)
    return (min(period * c + s, 1) + max(period * (c - 1) + s, 0)) / 2


def rational(x, levels):
    return [Fraction(round(float(value) * levels), levels) for value in x.flatten()]


@pytest.mark.parametrize("levels", [5, 16, 255])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_dssn_enumerates_what_rational_arithmetic_gives(sigma, levels):
    x = grid_image(levels, (2, 3))
    noise = DeterministicSplitting(sigma, levels, (2, 3), seed=1)
    found = torch.cat(list(noise.enumerate(x, 7))).flatten(1)
    assert found.shape == (noise.steps, 6)
    period = Fraction(noise.steps, levels)
    for t in range(0, noise.steps, max(1, noise.steps // 50)):
        for value, v, x_i in zip(found[t], noise.offsets.flatten(), rational(x, levels), strict=True):
            s = (Fraction((int(v) + t) % noise.steps) + Fraction(1, 2)) / levels
            assert np.float32(value) == np.float32(float(splitting_as_printed(x_i, s, period)))


@pytest.mark.parametrize("levels", [5, 16, 255])
@pytest.mark.parametrize("sigma", SIGMAS)
def test_ssn_samples_what_rational_arithmetic_gives(sigma, levels):
    x, noise = grid_image(levels, (5,)), Splitting(sigma, levels)
    found = noise.sample(x, 64, STREAM.block(0, CPU))
    drawn = STREAM.block(0, CPU).integers(noise.steps, (64, 5))
    period = Fraction(noise.steps, noise.units)
    assert abs(period / 2 - Fraction(noise.lam)) < Fraction(1, 10**15)
    assert 0 <= 1 - noise.lam / (sqrt(3) * sigma) < 1e-5
    for row, u in zip(found, drawn, strict=True):
        for value, k, x_i in zip(row, u, rational(x, levels), strict=True):
            s = (int(k) + Fraction(1, 2)) / noise.units
            assert np.float32(value) == np.float32(float(splitting_as_printed(x_i, s, period)))


@pytest.mark.parametrize("sigma", SIGMAS)
def test_every_offset_takes_every_level_once(sigma):
    """Each s_i alone is uniform on its L values. Theorem 2 needs nothing else about the joint distribution."""
    noise = DeterministicSplitting(sigma, 16, (40,), seed=3)
    t = torch.arange(noise.steps)[:, None]
    assert torch.equal(((noise.offsets + t) % noise.steps).sort(dim=0).values, t.expand(-1, 40))


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_enumeration_does_not_depend_on_the_batch_size(batch_size):
    noise, x = DeterministicSplitting(1.0, 16, (1, 3, 3)), grid_image(16, (1, 3, 3))
    batches = list(noise.enumerate(x, batch_size))
    assert all(batch.is_contiguous() for batch in batches)
    assert all(len(batch) <= batch_size for batch in batches)
    assert torch.equal(torch.cat(batches), torch.cat(list(noise.enumerate(x, 13))))


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("x", [0.0, 0.3125, 1.0])
def test_ssn_is_uniform_noise_seen_through_equation_22(sigma, x):
    """For lambda below 1/2 by the general form of the map, (min(z + lambda, 1) + max(z - lambda, 0)) / 2."""
    noise, additive = Splitting(sigma, 16), Uniform(sigma)
    point = torch.full((1,), x)
    split = torch.cat(list(noisy_inputs(point, noise, 20_000, STREAM, 1000))).flatten()
    z = torch.cat(list(noisy_inputs(point, additive, 20_000, Stream(0, 4, Stage.ESTIMATION), 1000))).flatten()
    lam = additive.lam
    mapped = ((z + lam).clamp(max=1) + (z - lam).clamp(min=0)) / 2
    # what a float rounds is no part of the law
    assert ks_2samp(split.double().round(decimals=5), mapped.double().round(decimals=5)).pvalue > 1e-4
    if lam >= 0.5:  # as printed
        g = torch.where(z < 1 - lam, (z + lam) / 2, torch.where(z > lam, (z - lam + 1) / 2, torch.tensor(0.5)))
        assert torch.allclose(g, mapped, atol=1e-6)


def test_the_law_of_uniform_noise_and_its_standard_deviation():
    x = torch.tensor([0.25, -1.0])
    drawn = torch.cat(list(noisy_inputs(x, Uniform(0.5), 20_000, STREAM, 500)))
    lam = sqrt(3) * 0.5
    for value, column in zip(x, drawn.T, strict=True):
        assert kstest(column.numpy(), uniform(float(value) - lam, 2 * lam).cdf).pvalue > 1e-4
    assert drawn.std(dim=0) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("noise", [Uniform(0.7), Splitting(0.7, 16), DeterministicSplitting(0.7, 16, (1, 2, 2))])
def test_shift_mass_and_radius(noise):
    lam = noise.lam
    for p in (0.0, 0.2, 0.5, 0.9, 1.0):
        for eps in (0.0, 0.1, 0.5, 3.0):
            assert noise.shift(p, eps) == pytest.approx(max(0, p - eps / (2 * lam)), abs=1e-12)
            assert noise.mass(p, eps) == pytest.approx(min(1, p + eps / (2 * lam)), abs=1e-12)
            assert noise.shift(p, eps) <= p <= noise.mass(p, eps)
        radius = noise.radius(p)
        assert radius == pytest.approx(max(0, 2 * lam * (p - 0.5)), abs=1e-12)
        assert radius == 0 or noise.shift(p, radius) >= 0.5 - 1e-12
    assert noise.radius(0.6, 0.1) == pytest.approx(0.5 * lam)
    assert noise.radius(0.6, 0.9) == pytest.approx(0.2 * lam), "probabilities sum to at most 1"
    with pytest.raises(SettingError, match="p_a"):
        noise.radius(1.2)


@pytest.mark.parametrize("noise", [Uniform(0.3), Splitting(0.7, 16)])
def test_shift_mass_and_radius_are_rounded_outward(noise):
    """Compared with rational arithmetic, for the lambda that the noise has."""
    lam = Fraction(noise.lam)
    for p in (1e-6, 0.1, 0.3, 0.55, 0.9, 0.98323):
        for eps in (0.05, 0.1, 0.3, 0.7):
            moved = Fraction(eps) / (2 * lam)
            assert noise.shift(p, eps) <= max(0, Fraction(p) - moved)
            assert noise.mass(p, eps) >= min(1, Fraction(p) + moved)
        assert noise.radius(p) <= max(0, 2 * lam * (Fraction(p) - Fraction(1, 2)))


def test_one_noisy_copy_of_each_image_is_one_of_its_levels():
    noise = DeterministicSplitting(0.6, 16, (1, 4, 4), seed=2)
    x = grid_image(16, (50, 1, 4, 4))
    noisy = noise.sample_each(x, STREAM.block(0, CPU))
    levels = []
    for image, copy in zip(x, noisy, strict=True):
        everything = torch.cat(list(noise.enumerate(image, 100)))
        levels += (everything == copy).flatten(1).all(dim=1).nonzero()[:1].flatten().tolist()
    assert len(levels) == 50
    assert len(set(levels)) > 10  # not one level for all
    assert torch.equal(noise.sample(x[0], 9, STREAM.block(0, CPU)), torch.stack([x_t for x_t in _at(noise, x[0], 9)]))


def _at(noise, x, count):
    everything = torch.cat(list(noise.enumerate(x, 100)))
    return everything[STREAM.block(0, CPU).integers(noise.steps, (count,)).long()]


def test_correlated_additive_noise_breaks_the_bound_that_correlated_splitting_keeps():
    """Proposition 1: f(z) = [z1 > 0.4 + z2], lambda = 1/2, noise the same on both coordinates."""
    x, y, levels = torch.tensor([0.8, 0.2]), torch.tensor([0.6, 0.4]), 5

    def f(z):
        return z[:, 0] > 0.4 + z[:, 1] + 1e-6  # a hair above float rounding: x' is on the threshold

    common = Uniform(0.5 / sqrt(3)).sample(torch.zeros(1), 1000, STREAM.block(0, CPU))
    assert (f(x + common).double().mean() - f(y + common).double().mean()) == 1  # at distance 0.4
    noise = DeterministicSplitting(0.5 / sqrt(3) + 1e-9, levels, (2,))
    noise.offsets = torch.zeros(2, dtype=torch.int64)  # s1 = s2
    assert noise.lam == 0.5
    p, p_there = (f(torch.cat(list(noise.enumerate(point, 9)))).double().mean() for point in (x, y))
    assert abs(p - p_there) <= 0.4 + 1e-12


def test_integers_are_uniform_and_uniforms_in_range():
    source = BlockSource(np.random.SeedSequence(5), CPU)
    drawn = source.integers(7, (70_000,))
    assert drawn.dtype == torch.int32
    counts = torch.bincount(drawn, minlength=7)
    assert len(counts) == 7
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 28  # chi-squared, 6 degrees of freedom: 1e-4
    assert int(source.integers(2**29 - 1, (1000,)).max()) > 2**28
    u = source.uniform((10_000,))
    assert u.dtype == torch.float32
    assert 0 <= u.min() < u.max() < 1


@pytest.mark.gpu
def test_on_a_gpu_the_same_enumeration_and_the_same_laws():
    cuda = torch.device("cuda")
    noise, x = DeterministicSplitting(3.5, 255, (3, 8, 8)), grid_image(255, (3, 8, 8))
    assert torch.equal(
        torch.cat(list(noise.enumerate(x.to(cuda), 100))).cpu(), torch.cat(list(noise.enumerate(x, 999)))
    )
    split = Splitting(3.5, 255)
    drawn = split.sample(x.to(cuda), 4096, STREAM.block(0, cuda)).cpu().flatten(1)
    there = torch.cat(list(noisy_inputs(x, split, 4096, STREAM, 1024))).flatten(1)
    assert ks_2samp(drawn[:, 0], there[:, 0]).pvalue > 1e-4
    many = BlockSource(np.random.SeedSequence(1), cuda).integers(50_000_000, (2_000_000,)).cpu()
    assert kstest(many.numpy(), uniform(0, 50_000_000).cdf).pvalue > 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(0.0), "noise.sigma: expected a positive number"),
        (lambda: Uniform(float("nan")), "noise.sigma: expected a positive number"),
        (lambda: Splitting(0.5, 0), "noise.levels"),
        (lambda: Splitting(100.0, 16), "noise.sigma: expected"),
        (lambda: DeterministicSplitting(0.01, 16, (1, 2, 2)), "noise.sigma: 0.01 gives 0 split positions"),
        (lambda: DeterministicSplitting(0.5, 16, (1, 2, 2), seed=-1), "noise.seed"),
    ],
)
def test_settings_out_of_range(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize("noise", [Splitting(0.5, 16), DeterministicSplitting(0.5, 16, (3,))])
@pytest.mark.parametrize("value", [0.51, -0.0625, 1.0625, float("nan"), float("inf")])
def test_an_image_off_the_grid_is_refused(noise, value):
    x = torch.tensor([0.0, value, 1.0])
    with pytest.raises(SettingError, match=r"not a multiple of 1/16 from 0 to 1.*noise=uniform"):
        list(noisy_inputs(x, noise, 10, STREAM, 5))


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(SettingError, match=r"input: expected shape \(3,\)"):
        list(DeterministicSplitting(0.5, 16, (3,)).enumerate(torch.zeros(4), 5))


def test_the_offsets_come_back_and_damaged_ones_do_not():
    noise, other = (DeterministicSplitting(0.5, 16, (1, 2, 2), seed=s) for s in (0, 1))
    assert not torch.equal(noise.offsets, other.offsets)
    state = noise.state()
    other.restore(state)
    assert torch.equal(noise.offsets, other.offsets)
    for change, message in [
        ({"levels": 255}, "levels is 16, but 255 in the checkpoint"),
        ({"shape": [1, 4, 4]}, "shape is"),
        ({"offsets": "AAAA"}, "damaged"),
        ({"offsets": "////f////3////9/////fw=="}, "damaged"),
    ]:
        with pytest.raises(SettingError, match=message):
            other.restore(state | change)
    with pytest.raises(SettingError, match="no offset vector"):
        other.restore({})


@pytest.mark.parametrize("noise", [Splitting(0.5, 16), DeterministicSplitting(0.5, 16, (3,))])
def test_a_hair_off_the_grid_is_refused(noise):
    with pytest.raises(SettingError, match="not a multiple"):
        list(noisy_inputs(torch.tensor([0.0, 0.5 + 1e-6, 1.0]), noise, 10, Stream(0, 0, Stage.CENTER), 5))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [1, 10, 15, 100, 255, 256, 257, 511, 1000, 2047, 2048, 2049, 65535])
def test_a_type_that_tells_all_levels_apart_is_read_right_and_others_are_refused(dtype, levels):
    k = torch.arange(levels + 1)
    x = (k.double() / levels).to(dtype)
    if levels > {torch.bfloat16: 256, torch.float16: 2048}.get(dtype, 2**22):
        assert not torch.equal(steps_of(x, levels).long(), k)
        with pytest.raises(SettingError, match=rf"float16 cannot distinguish {levels + 1} levels; use x\.float\(\)"):
            require_grid(x, levels)
    else:
        require_grid(x, levels)
        assert torch.equal(steps_of(x, levels).long(), k)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_numbers_between_levels_are_refused_in_coarse_types_too(dtype):
    x = (torch.arange(101).double() / 100).to(dtype)
    between = torch.nextafter(x[1:], torch.zeros(1, dtype=dtype))
    require_grid(x, 100)
    for value in between[10:]:
        with pytest.raises(SettingError, match="is not a multiple of 1/100"):
            require_grid(value[None], 100)


def test_a_level_multiplied_by_a_rounded_step_is_that_level():
    x = torch.arange(256).float() * (1 / 255)
    require_grid(x, 255)
    assert torch.equal(steps_of(x, 255).long(), torch.arange(256))
