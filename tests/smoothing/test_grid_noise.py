"""Noise rounded to a grid: exact sums, the error that the proof allows, and the attack that breaks float32 noise."""

from fractions import Fraction
from math import sqrt

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import norm

from smoothing import Gaussian, SettingError, SmoothedClassifier, Uniform
from smoothing.cursor import noisy_inputs
from smoothing.noise.from_bits import fine_normal, fine_uniform, rounded_normal
from smoothing.noise.grid import MISROUNDED, MOST_COORDINATES, GridSteps, total_variation
from smoothing.streams import BlockSource, Stage, Stream

CPU = torch.device("cpu")
STREAM = Stream(seed=0, example=3, stage=Stage.ESTIMATION)
NOISES = [Gaussian(0.25, grid=255), Uniform(0.25, grid=255), Gaussian(0.12, grid=16), Uniform(1.0, grid=16)]


def pixels(levels, shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, levels + 1, shape)).float() / levels


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_on_the_grid_the_same_integers_are_added_to_every_image(noise):
    shape = (3, 4, 4)
    black = noise.sample(torch.zeros(shape), 64, STREAM.block(0, CPU))
    added = (black.double() * noise.grid).round()
    assert torch.equal((added.float() / noise.grid), black)
    assert added.unique().numel() > 5
    for seed in range(5):
        x = pixels(noise.grid, shape, seed)
        k = (x.double() * noise.grid).round()
        assert torch.equal(noise.sample(x, 64, STREAM.block(0, CPU)), (k + added).float() / noise.grid)


def test_what_float32_rounds_of_a_level_does_not_reach_the_sum():
    """k / 255 is not a float32 number. Still, noise just below half a step must be rounded down at every level."""
    k = torch.arange(256)
    for share, added in ((0.5 - 1e-9, 0), (0.5 + 1e-9, 1), (-0.5 + 1e-9, 0)):
        found = GridSteps(k.float() / 255, 255).rounded_sum(torch.full((1, 256), share, dtype=torch.float64))
        assert torch.equal(found[0], (k + added).float() / 255)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_off_the_grid_the_exact_sum_is_rounded(noise):
    x = torch.rand(50) * 4 - 2
    source = STREAM.block(0, CPU)
    if isinstance(noise, Gaussian):
        steps = fine_normal(source.bits((64, 50))) * (noise.sigma * noise.grid)
    else:
        steps = fine_uniform(source.bits((64, 50))) * (noise.lam * noise.grid)
    found = (noise.sample(x, 64, STREAM.block(0, CPU)).double() * noise.grid).round()
    for i in range(50):
        exact = Fraction(float(x[i])) * noise.grid
        assert [int(v) for v in found[:, i]] == [round(exact + Fraction(float(v))) for v in steps[:, i]]


def bits_and(made_of, count):
    """64 random bits, as integers t, and the numbers computed from them."""
    bits = BlockSource(np.random.SeedSequence(7), CPU).bits((count,))
    return bits.tolist(), made_of(bits).tolist()


def test_fine_uniforms_are_the_bits_and_as_exact_next_to_zero():
    for t, v in zip(*bits_and(fine_uniform, 20_000), strict=True):
        exact = Fraction(2 * t + 1, 2**64)
        assert abs(Fraction(v) - exact) <= abs(exact) * Fraction(1, 2**52)


def test_fine_normals_are_as_near_the_exact_ones_as_the_proof_takes_them_to_be():
    """In docs/soundness.md: |computed - z| <= 1.26 * 2^-52 + 2^-49 |z|; the 2^-49 is ndtri's."""
    mpmath.mp.dps = 40
    worst = 0.0
    for t, z in zip(*bits_and(fine_normal, 3000), strict=True):
        tail = mpmath.mpf(abs(2 * t + 1)) / mpmath.mpf(2) ** 65
        near = mpmath.mpf(-abs(z))
        error = (mpmath.ncdf(near) - tail) / mpmath.npdf(near)  # Newton's step from what was computed to the exact one
        assert abs(error) <= 1.26 * 2.0**-52 + 2.0**-49 * abs(z)
        assert (z > 0) == (t >= 0)
        worst = max(worst, float(abs(error)))
    assert worst > 0  # the comparison is finer than what it compares


@pytest.mark.parametrize("scale", [0.5, 0.77, 1.0, 3.0, 63.75, 76.5, 255.0, 900.1, 4096.0, 4097.0, 2.0**20])
def test_rounded_normals_are_the_normals_rounded(scale):
    """At random bits, at the ends of every cell of the table, and where the rounded number changes."""
    ends = torch.arange(-(2**15), 2**15) << 48
    z = (torch.arange(-2000, 2000) + 0.5) / scale  # where round(scale z) changes
    v = torch.special.erfc(z.abs().double() / 2**0.5) * torch.where(z < 0, -1.0, 1.0)
    turns = (v * 2.0**63).to(torch.int64)[:, None] + torch.arange(-2000, 2000, 37) * 16
    random = BlockSource(np.random.SeedSequence(3), CPU).bits((200_000,))
    bits = torch.cat([ends, ends - 1, ends + 1, turns.flatten(), random])
    exact = (fine_normal(bits) * scale).round()
    assert torch.equal(rounded_normal(bits, scale).double(), exact)
    assert exact.abs().max() <= 2**24
    if scale >= 1:
        assert exact.unique().numel() > 5


@pytest.mark.parametrize("noise", [n for n in NOISES if isinstance(n, Gaussian)], ids=str)
def test_noise_from_the_table_is_the_noise_in_float64(noise):
    x = pixels(noise.grid, (3, 20), 1)
    steps = fine_normal(STREAM.block(0, CPU).bits((64, 3, 20))) * (noise.sigma * noise.grid)
    assert torch.equal(noise.sample(x, 64, STREAM.block(0, CPU)), GridSteps(x, noise.grid).rounded_sum(steps))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("at", [2.0**-64, 1e-15, 1e-6, 0.13, 0.1354, 0.25, 0.4, 0.4999])
def test_the_normal_quantile_is_good_to_2_to_the_minus_50(at, device):
    mpmath.mp.dps = 40
    u = at * (1 + 1e-3 * torch.rand(300, dtype=torch.float64))
    u = u.clamp(max=0.49999)
    for tail, z in zip(u.tolist(), torch.special.ndtri(u.to(device)).tolist(), strict=True):
        near = mpmath.mpf(z)
        assert abs((mpmath.ncdf(near) - mpmath.mpf(tail)) / mpmath.npdf(near)) <= 2.0**-50 * abs(z)


@pytest.mark.parametrize("steps", [0.5, 1.0, 4.0, 127.5, 2000.0])
def test_the_bound_covers_the_sum_over_boundaries_that_the_proof_takes(steps):
    """P[rounded wrongly] <= sum over boundaries b of P[within delta of b]: summed here, bounded in the proof."""
    b = np.arange(-int(12 * steps) - 1, int(12 * steps) + 2) + 0.5
    z = np.abs(b) / steps
    delta = steps * (1.26 * 2.0**-52 + z * (2.0**-49 + 2.0**-52 + 2.0**-53)) + 2.0**-54
    gaussian = (2 * delta * norm.pdf(np.maximum(0, z - 1e-9)) / steps).sum()
    inside = np.abs(b) <= steps + 1e-9
    uniform = (inside * 2 * (1.25 * 2.0**-51 * steps + 2.0**-54) / (2 * steps)).sum()
    assert 0 < uniform < gaussian < 0.65 * MISROUNDED * (steps + 1)
    assert total_variation(steps) == MOST_COORDINATES * MISROUNDED * (steps + 1)


@pytest.mark.parametrize("noise", NOISES, ids=str)
def test_what_is_taken_off_is_little_and_on_the_safe_side(noise):
    plain = type(noise)(noise.sigma)
    assert 0 < noise.tv < 1e-6
    for p in (0.501, 0.6, 0.9, 0.9999):
        assert 0 < plain.radius(p) - noise.radius(p) < 0.01 * plain.radius(p)
        assert noise.radius(p, 0.01) < plain.radius(p, 0.01)
        for eps in (0.0, 0.1, 0.4):
            assert 0 <= plain.shift(p, eps) - noise.shift(p, eps) < 2e-3
            assert 0 <= noise.mass(p, eps) - plain.mass(p, eps) < 20 * noise.tv + 1e-12


@pytest.mark.parametrize("make", [lambda grid: Gaussian(0.5, grid=grid), lambda grid: Uniform(0.5, grid=grid)])
@pytest.mark.parametrize("tv", [1e-6, 1e-3, 0.02])
def test_shift_and_mass_hold_for_laws_that_are_off_by_tv_at_both_ends(make, tv):
    """Lemma 2 of docs/soundness.md: the probability of an event may change by tv at x, and again at x'."""
    noise, ideal = make(16), make(None)
    vars(noise)["tv"] = tv
    for p in (0.1, 0.5, 0.55, 0.9):
        for eps in (0.0, 0.1, 0.5):
            assert noise.shift(p, eps) <= max(0, ideal.shift(p - tv, eps) - tv) + 1e-12
            assert noise.mass(p, eps) >= min(1, ideal.mass(p + tv, eps) + tv) - 1e-12


@pytest.mark.parametrize("make", [lambda: Gaussian(0.5, grid=16), lambda: Uniform(0.5, grid=16)])
@pytest.mark.parametrize("tv", [1e-6, 1e-3, 0.02])
def test_within_the_radius_class_a_stays_on_top_of_what_is_drawn(make, tv):
    """Distributions changed by tv at x and at x', and the worst events: still p_A >= p_B at x' (docs/soundness.md)."""
    noise, ideal = make(), type(make())(0.5)
    vars(noise)["tv"] = tv
    met = 0
    for p_a in (0.1, 0.3, 0.5, 0.7, 0.97):
        for p_b in (1e-9, 1e-3, 0.05, 0.25, 0.4):
            if p_a + p_b <= 1 and (radius := noise.radius(p_a, p_b)) > 0:
                b_there = min(1, ideal.mass(min(1, p_b + tv), radius) + tv)
                assert ideal.shift(p_a - tv, radius) - tv >= b_there - 1e-9
                met += 1
    assert met > 8
    assert noise.radius(tv) == 0


def test_extremes_stay_probabilities():
    for noise in NOISES:
        assert noise.shift(0.0, 0.1) == 0 == noise.shift(1e-9, 0.1)
        assert noise.mass(1.0, 0.0) == 1.0 == noise.mass(0.9, 100.0)
        assert noise.radius(0.5) == 0 == noise.radius(0.0)


@pytest.mark.parametrize("kind", [Gaussian, Uniform])
def test_training_noise_and_grid_0_are_those_of_before(kind):
    x = torch.rand(5, 1, 3, 3)
    plain, gridded = kind(0.5), kind(0.5, grid=16)
    assert torch.equal(plain.sample(x, 1, STREAM.block(0, CPU))[0], gridded.sample_each(x, STREAM.block(0, CPU)))
    assert torch.equal(
        kind(0.5, grid=0).sample(x[0], 9, STREAM.block(0, CPU)), plain.sample(x[0], 9, STREAM.block(0, CPU))
    )
    assert kind(0.5, grid=0).tv == plain.tv == 0
    assert repr(gridded).endswith("(sigma=0.5, grid=16)")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gaussian(0.5, grid=-1), r"noise\.grid: expected 1 to 65536"),
        (lambda: Uniform(0.5, grid=2**16 + 1), r"noise\.grid: expected 1 to 65536"),
        (lambda: Gaussian(0.01, grid=16), r"noise\.grid: noise of 0\.01 is 0\.16 steps of 1/16; expected 0\.5"),
        (lambda: Gaussian(100.0, grid=2**16), r"noise\.grid: noise of 100 is 6\.55e\+06 steps"),
    ],
)
def test_grids_out_of_range(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize("noise", NOISES[:2], ids=str)
def test_inputs_that_the_bound_does_not_cover_are_refused(noise):
    with pytest.raises(SettingError, match=r"262145 coordinates, .* at most 262144; use noise\.grid=0"):
        list(noisy_inputs(torch.zeros(2**18 + 1), noise, 1, STREAM, 1))
    with pytest.raises(SettingError, match=r"float32 inputs, got float64; use x\.float\(\)"):
        list(noisy_inputs(torch.zeros(4, dtype=torch.float64), noise, 1, STREAM, 1))


# The attack (Voracek and Hein 2023, "Sound Randomized Smoothing in Floating-Point Arithmetic"): f knows two images and
# looks in its input's last bits for which of them the noise was added to. Class 0: it may have been `other`.


def scores(from_other):
    return torch.stack([from_other, ~from_other], dim=1).float()


def reads_the_sum(other, noise):
    """Whether subtracting `other` and adding it again gives the same float32 numbers."""
    return lambda z: scores(((z - other) + other == z).flatten(1).all(dim=1))


def reads_the_draw(other, noise):
    """Whether uniform noise around `other` can give z, from one of 2^24 float32 uniform numbers."""

    def f(z):
        near = (((z - other) + noise.lam) / (2 * noise.lam) * 2**24).round()
        found = torch.zeros_like(z, dtype=torch.bool)
        for step in (-2, -1, 0, 1, 2):
            u = (near + step) * 2.0**-24
            found |= u.mul(2 * noise.lam).sub_(noise.lam).add_(other) == z
        return scores(found.flatten(1).all(dim=1))

    return f


ATTACKS = [
    (Gaussian, 0.25, reads_the_sum, (1, 28, 28), 2),
    (Gaussian, 1.0, reads_the_sum, (1, 28, 28), 8),
    (Uniform, 0.5, reads_the_draw, (16,), 1),
]


def attacked(noise, reads, shape, levels):
    """Certify a black image: its radius, the distance to an image brighter by `levels`/255, and both classes."""
    x, other = torch.zeros(shape), torch.full(shape, levels / 255)
    g = SmoothedClassifier(reads(other, noise), noise, batch_size=1000)
    certified = g.certify(x, n0=100, n=10_000, alpha=0.001)
    order = 2 if noise.threat_norm == "l2" else 1
    distance = float(torch.linalg.vector_norm(other.double(), ord=order))
    return certified, distance, g.predict(other, n=10_000, alpha=0.001, example=1)


@pytest.mark.parametrize(("kind", "sigma", "reads", "shape", "levels"), ATTACKS)
def test_a_function_that_reads_low_bits_gets_a_false_certificate_under_float32_noise(kind, sigma, reads, shape, levels):
    certified, distance, there = attacked(kind(sigma), reads, shape, levels)
    assert certified.status == "certified"
    assert certified.radius > 1.5 * distance
    assert (certified.prediction, there.prediction) == (1, 0)
    assert there.n_a == 10_000


@pytest.mark.parametrize(("kind", "sigma", "reads", "shape", "levels"), ATTACKS)
@pytest.mark.parametrize("grid", [255, 510])
def test_and_none_on_the_grid(kind, sigma, reads, shape, levels, grid):
    certified, distance, there = attacked(kind(sigma, grid=grid), reads, shape, levels)
    assert certified.radius > 1.5 * distance, "the attack has something to break"
    assert certified.prediction == there.prediction == 1


def test_what_the_grid_takes_off_is_of_the_scale_in_steps():
    assert Gaussian(0.25, grid=255).tv == total_variation(0.25 * 255)
    assert Uniform(0.25, grid=255).tv == total_variation(sqrt(3) * 0.25 * 255)


def test_large_whole_numbers_are_added_before_they_are_rounded():
    """255 (2^17 + 1) is not a float32 number, so rounding before and after adding the noise gives different sums."""
    noise, device = Gaussian(0.25, grid=255), torch.device("cpu")
    added = noise.sample(torch.zeros(100), 64, Stream(0, 0, Stage.CENTER).block(0, device)).double().mul(255).round()
    x = torch.full((100,), 2.0**17 + 1)
    found = noise.sample(x, 64, Stream(0, 0, Stage.CENTER).block(0, device))
    assert torch.equal(found, (x.double() * 255 + added).float() / 255)


@pytest.mark.parametrize("grid", [1, 3, 16, 255, 1000, 2**16])
def test_an_input_stands_for_itself_unless_it_is_the_float32_number_of_a_level(grid):
    """A level's neighbours, up to six float32 numbers away, are not moved onto it: radii are distances to them too."""
    levels = torch.tensor([0, 1, 2, grid // 2, grid - 1, grid, grid + 1, -1, -grid, 100 * grid, 2**20 * grid + 1])
    nearest = (levels.double() / grid).float()
    x = [nearest]
    for side in (torch.inf, -torch.inf):
        near = nearest
        for _ in range(6):
            near = torch.nextafter(near, torch.tensor(side))
            x.append(near)
    y = GridSteps(torch.cat(x), grid)
    k, off = y.k, y.off
    for value, whole, left in zip(torch.cat(x).tolist(), k.tolist(), off.tolist(), strict=True):
        exact = Fraction(value) * grid
        level = torch.tensor(whole / grid, dtype=torch.float64).float()
        assert Fraction(whole) + Fraction(left) == (Fraction(whole) if value == level else exact)


def test_two_inputs_are_as_far_apart_as_their_laws_say():
    """Uniform, lambda = 16.5/255, 2^18 coordinates 2^-23 apart: neither is taken for white, so .03125 is what is moved.

    Both within 2^-22 of 1, one used to be snapped to it: a distance of .0156 was left out of a radius of .0332.
    """
    x, there = 1 - 3 * 2.0**-24, 1 - 5 * 2.0**-24
    off, off_there = (GridSteps(torch.tensor([value]), 255).off for value in (x, there))
    assert float(off - off_there) / 255 == x - there == 2.0**-23
    assert float(GridSteps(torch.tensor([1.0]), 255).off) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarser_numbers_stand_for_themselves(dtype):
    """bfloat16 represents few of 255 levels: rounding a level to its nearest number would move it by half a step."""
    x = (torch.arange(256).double() / 255).to(dtype)
    y = GridSteps(x, 255)
    k, off = y.k, y.off
    for value, whole, left in zip(x.tolist(), k.tolist(), off.tolist(), strict=True):
        exact = Fraction(value) * 255
        assert abs(Fraction(whole) + Fraction(left) - exact) <= Fraction(1, 2**24) * abs(exact)


@pytest.mark.parametrize("noise", [Gaussian(0.25, grid=255), Uniform(0.25, grid=255)], ids=str)
def test_coordinates_are_counted_over_all_axes(noise):
    with pytest.raises(SettingError, match="786432 coordinates"):
        list(noisy_inputs(torch.zeros(3, 512, 512), noise, 1, Stream(0, 0, Stage.CENTER), 1))
