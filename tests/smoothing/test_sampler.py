"""The samplers' self-test: moments, laws and independence of what certificates are read from, on each kind of device.

Every test draws the same numbers in every run on a CPU, so a threshold of 10^-6 says what it says once, not in the long
run; a wrong sampler fails by far.
"""

from math import sqrt

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import chi2, kstest, norm, uniform

from smoothing import Gaussian, Uniform
from smoothing.noise.from_bits import fine_normal, fine_uniform
from smoothing.streams import BLOCK, BlockSource, Stage, Stream

ANY = [pytest.param("cpu"), pytest.param("cuda", marks=pytest.mark.gpu)]
SIZES = [pytest.param(2_000, id="quick"), pytest.param(200_000, marks=pytest.mark.slow, id="large")]  # times BLOCK
PLAIN = [Gaussian(0.5), Uniform(0.5)]
GRIDDED = [Gaussian(0.25, grid=255), Gaussian(0.12, grid=16), Uniform(0.25, grid=255), Uniform(0.5, grid=16)]
LEVEL = 1e-6


def drawn(noise, width, device, blocks=range(1), example=3, stage=Stage.ESTIMATION):
    """Noise on black images of `width` numbers: (blocks * BLOCK, width), float64, on the CPU."""
    x = torch.zeros(width, device=device)
    stream = Stream(0, example, stage)
    return torch.cat([noise.sample(x, BLOCK, stream.block(b, x.device)) for b in blocks]).cpu().double()


def cell_probabilities(noise):
    """Integers k and the exact probability of k - 1/2 < noise * grid < k + 1/2."""
    reach = int(9 * noise.sigma * noise.grid) if isinstance(noise, Gaussian) else int(noise.lam * noise.grid + 0.5)
    k = np.arange(-reach, reach + 1)
    if isinstance(noise, Gaussian):
        # from the tails, so that nothing cancels
        below = ndtr(-(np.abs(k) - 0.5) / (noise.sigma * noise.grid))
        return k, below - ndtr(-(np.abs(k) + 0.5) / (noise.sigma * noise.grid))
    law = uniform(-noise.lam, 2 * noise.lam)
    return k, law.cdf((k + 0.5) / noise.grid) - law.cdf((k - 0.5) / noise.grid)


def moments(noise):
    """Second and fourth moment of one number of the noise as drawn."""
    if noise.grid:
        k, p = cell_probabilities(noise)
        v = k / noise.grid
        return float((p * v**2).sum()), float((p * v**4).sum())
    return (noise.sigma**2, 3 * noise.sigma**4) if isinstance(noise, Gaussian) else (noise.lam**2 / 3, noise.lam**4 / 5)


@pytest.mark.parametrize("device", ANY)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", PLAIN + GRIDDED, ids=str)
def test_moments(noise, size, device):
    v = drawn(noise, size, device).flatten()
    second, fourth = moments(noise)
    n, far = len(v), 5.0  # standard errors: passed by a right sampler but once in 10^6
    assert abs(float(v.mean())) < far * sqrt(second / n)
    assert abs(float((v**2).mean()) - second) < far * sqrt((fourth - second**2) / n)
    assert abs(float((v**3).mean())) < far * sqrt(float((v**6).mean()) / n)
    assert abs(float((v**4).mean()) - fourth) < far * float((v**4).std()) / sqrt(n)


@pytest.mark.parametrize("device", ANY)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", PLAIN, ids=str)
def test_continuous_noise_has_its_law(noise, size, device):
    law = norm(0, noise.sigma) if isinstance(noise, Gaussian) else uniform(-noise.lam, 2 * noise.lam)
    assert kstest(drawn(noise, size, device).flatten().numpy(), law.cdf).pvalue > LEVEL


@pytest.mark.parametrize("device", ANY)
@pytest.mark.parametrize("size", SIZES)
def test_fine_numbers_have_their_laws_far_out_too(size, device):
    source = BlockSource(np.random.SeedSequence(11), torch.device(device))
    v = fine_uniform(source.bits((size * BLOCK,))).cpu().numpy()
    z = fine_normal(source.bits((size * BLOCK,))).cpu().numpy()
    assert kstest(v, uniform(-1, 2).cdf).pvalue > LEVEL
    assert kstest(z, norm.cdf).pvalue > LEVEL
    small = v[np.abs(v) < 2.0**-8] * 2**8  # what a number of few bits would be coarse in
    assert kstest(small, uniform(-1, 2).cdf).pvalue > LEVEL
    assert len(np.unique(small)) == len(small)
    tail = np.abs(z[np.abs(z) > 3])
    assert kstest(norm.sf(tail) / norm.sf(3), uniform.cdf).pvalue > LEVEL
    assert np.abs(z).max() > 4


@pytest.mark.parametrize("device", ANY)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", GRIDDED, ids=str)
def test_noise_on_the_grid_has_the_exact_probabilities(noise, size, device):
    """Chi-squared test of the exact distribution of the rounded noise; rare cells are merged."""
    steps = (drawn(noise, size, device).flatten() * noise.grid).round().long().numpy()
    k, p = cell_probabilities(noise)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    counts = np.bincount(steps - k[0], minlength=len(k))
    assert len(counts) == len(k), "a value that the law does not reach"
    own = p * len(steps) >= 10
    found, wanted = counts[own], p[own] * len(steps)
    rest = p[~own].sum() * len(steps)
    if rest >= 5:
        found, wanted = np.append(found, counts[~own].sum()), np.append(wanted, rest)
    statistic = ((found - wanted) ** 2 / wanted).sum()
    assert chi2.sf(statistic, len(wanted) - 1) > LEVEL
    assert chi2.cdf(statistic, len(wanted) - 1) > LEVEL, "too even to be random"


def correlations(rows):
    """Largest correlation of two rows, and of their squares: (r, n) -> standard errors."""
    n = rows.shape[1]
    return [
        float((torch.corrcoef(part) - torch.eye(len(rows), dtype=torch.float64)).abs().max()) * sqrt(n)
        for part in (rows, rows**2)
    ]


@pytest.mark.parametrize("device", ANY)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("noise", [*PLAIN, GRIDDED[0], GRIDDED[2]], ids=str)
def test_examples_stages_blocks_samples_and_coordinates_are_independent(noise, size, device):
    """No two rows are correlated, nor their squares; 5.5 standard errors are for some thousands of pairs."""
    width = min(2_000, size // 10)
    kinds = {
        "examples": [drawn(noise, width, device, example=e).flatten() for e in range(12)],
        "stages": [drawn(noise, width, device, stage=s).flatten() for s in Stage],
        "blocks": [drawn(noise, width, device, blocks=[b]).flatten() for b in range(12)],
        "samples": list(drawn(noise, 20 * width, device)[:24]),
        "coordinates": list(drawn(noise, 24, device, blocks=range(width)).T),
    }
    for kind, rows in kinds.items():
        assert max(correlations(torch.stack(rows))) < 5.5, kind
        for lag in (1, 2, 64):
            long = torch.cat(rows)
            assert max(correlations(torch.stack([long[:-lag], long[lag:]]))) < 5, (kind, lag)


def test_the_self_test_finds_what_is_wrong():
    """A variance wrong by 2 %, wrong rounding to the grid, and a block used twice do not pass."""
    wrong = Gaussian(0.255, grid=255)
    v = drawn(wrong, 2_000, "cpu").flatten()
    second, fourth = moments(Gaussian(0.25, grid=255))
    assert abs(float((v**2).mean()) - second) > 5 * sqrt((fourth - second**2) / len(v))
    floored = (drawn(Gaussian(0.12), 2_000, "cpu") * 16).floor().flatten().long().numpy()
    k, p = cell_probabilities(Gaussian(0.12, grid=16))
    counts, wanted = np.bincount(np.clip(floored - k[0], 0, len(k) - 1), minlength=len(k)), p * len(floored)
    own = wanted >= 10
    assert chi2.sf(((counts - wanted)[own] ** 2 / wanted[own]).sum(), own.sum() - 1) < LEVEL
    block = drawn(Gaussian(0.5), 200, "cpu").flatten()
    assert max(correlations(torch.stack([block, block.roll(1), block]))) > 5.5
