"""Gaussian noise: its distribution, its shift, mass and radius, and its streams."""

import mpmath
import numpy as np
import pytest
import torch
from scipy.stats import kstest, norm

from smoothing import (
    Ablation,
    BandAblation,
    BlockAblation,
    DeterministicSplitting,
    Gaussian,
    Noise,
    SettingError,
    Splitting,
    Uniform,
)
from smoothing.cursor import noisy_inputs
from smoothing.streams import BLOCK, Stage, Stream

STREAM = Stream(seed=0, example=3, stage=Stage.CENTER)


def samples(count, batch_size, stream=STREAM, x=None):
    x = torch.zeros(2, 3) if x is None else x
    return torch.cat(list(noisy_inputs(x, Gaussian(0.5), count, stream, batch_size)))


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 100, 1000])
def test_samples_do_not_depend_on_the_batch_size(count, batch_size):
    batches = list(noisy_inputs(torch.zeros(2, 3), Gaussian(0.5), count, STREAM, batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert torch.equal(torch.cat(batches), samples(count, 50))


def test_a_longer_stream_begins_with_the_shorter_one():
    assert torch.equal(samples(300, 64)[:130], samples(130, 64))


def test_streams_differ_in_every_part_of_their_key():
    keys = [(0, 0, Stage.CENTER), (1, 0, Stage.CENTER), (0, 1, Stage.CENTER)]
    keys += [(0, 0, Stage.FRESH_CHECK), (0, 0, Stage.CERTIFICATION), (2**40, 0, Stage.CENTER), (2**40 + 2**32, 0, 0)]
    drawn = torch.stack([samples(2 * BLOCK, 64, Stream(*key)) for key in keys])
    firsts = torch.cat([drawn[:, 0], drawn[:, BLOCK]]).flatten(1)  # two blocks of each stream
    assert len(firsts.unique(dim=0)) == 2 * len(keys)


def test_many_blocks_never_coincide():
    """32-bit keys, as of a CPU torch.Generator, would collide about 30 times here."""
    sources = (Stream(0, e, Stage.CENTER).block(b, torch.device("cpu")) for e in range(5) for b in range(2000))
    firsts = {source.normal((2,)).numpy().tobytes() for source in sources}
    assert len(firsts) == 10_000


def test_the_global_generators_are_not_touched():
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    samples(100, 10)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()


def test_the_law_of_the_samples():
    x = torch.tensor([0.25, -1.0, 3.0])
    drawn = samples(20_000, 500, x=x)
    for value, column in zip(x, drawn.T, strict=True):
        assert kstest(column.numpy(), norm(float(value), 0.5).cdf).pvalue > 1e-4
    assert np.abs(np.corrcoef(drawn.T.numpy()) - np.eye(3)).max() < 0.03


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.3, 0.55, 0.9, 0.98323])
@pytest.mark.parametrize("eps", [0.05, 0.1, 0.3, 0.7])
def test_shift_mass_and_radius_are_rounded_outward(p, eps):
    """Compared with 40 digits: the float is strictly on the safe side of the true number."""
    noise = Gaussian(0.3)
    with mpmath.workdps(40):
        quantile, steps = mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1), mpmath.mpf(eps) / mpmath.mpf(0.3)
        assert noise.shift(p, eps) < mpmath.ncdf(quantile - steps)
        assert noise.mass(p, eps) > mpmath.ncdf(quantile + steps)
        assert noise.radius(p) < mpmath.mpf(0.3) * quantile or (noise.radius(p) == 0 and quantile <= 0)


@pytest.mark.parametrize("p", [1e-6, 0.1, 0.55, 0.9, 1 - 1e-9])
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.7])
def test_mass_is_the_inverse_of_shift(p, eps):
    noise = Gaussian(0.3)
    assert noise.shift(p, eps) == pytest.approx(norm.cdf(norm.ppf(p) - eps / 0.3), rel=1e-9)
    assert noise.mass(p, eps) == pytest.approx(norm.cdf(norm.ppf(p) + eps / 0.3), rel=1e-9)
    assert noise.shift(noise.mass(p, eps), eps) <= p * (1 + 1e-9)
    assert noise.mass(noise.shift(p, eps), eps) == pytest.approx(p, rel=1e-6)


def test_shift_is_attained_by_a_half_space():
    """The worst event of probability p at x is a half-space; its probability at x' is exactly shift(p, eps)."""
    noise, p, eps = Gaussian(0.5), 0.8, 0.4
    threshold = 0.5 * norm.ppf(p)
    drawn = samples(200_000, 1000, x=torch.tensor([eps]))[:, 0]
    observed = float((drawn <= threshold).float().mean())
    assert observed == pytest.approx(noise.shift(p, eps), abs=4 * 0.5 / 200_000**0.5)


def test_extremes():
    assert Gaussian(0.1).mass(0.55, 100.0) == 1.0
    assert Gaussian(0.1).shift(0.55, 100.0) == 0.0
    assert Gaussian(0.1).mass(0.55, 0.0) >= 0.55


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_sigma_is_positive(sigma):
    with pytest.raises(SettingError, match=r"noise\.sigma"):
        Gaussian(sigma)


def test_messages_name_a_noise_of_ones_own_without_its_address():
    class Own(Noise):
        threat_norm = "l2"
        sample = shift = mass = radius = lambda self, *arguments: None

    assert str(Own()) == "Own()"
    noise = Own()
    noise.sigma = 0.5
    assert str(noise) == "Own(sigma=0.5)"


@pytest.mark.gpu
def test_the_law_of_the_samples_on_cuda():
    drawn = samples(20_000, 500, x=torch.tensor([0.25, -1.0], device="cuda")).cpu()
    assert len(drawn.unique(dim=0)) == len(drawn)
    for value, column in zip((0.25, -1.0), drawn.T, strict=True):
        assert kstest(column.numpy(), norm(value, 0.5).cdf).pvalue > 1e-4
    again = samples(20_000, 77, x=torch.tensor([0.25, -1.0], device="cuda")).cpu()
    assert torch.equal(drawn, again)


@pytest.mark.parametrize(
    "noise",
    [
        Gaussian(0.25),
        Uniform(0.25),
        Splitting(0.25, 255),
        DeterministicSplitting(0.25, 255, (3,)),
        Ablation(2, (1, 4, 4)),
        BandAblation(2, (1, 4, 4)),
        BlockAblation(2, (1, 4, 4)),
    ],
    ids=lambda noise: type(noise).__name__,
)
def test_units_of_radii_are_text(noise):
    """They are written on axes, so no attribute of a noise may hide them."""
    assert isinstance(noise.radius_units, str)
