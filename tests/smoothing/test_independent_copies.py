"""A noise whose copies show that they are not independent is refused, and no noise whose copies are."""

import pytest
import torch

from smoothing import (
    Ablation,
    BandAblation,
    BaseFunctionError,
    BlockAblation,
    DeterministicSplitting,
    Gaussian,
    SmoothedClassifier,
    Splitting,
    Uniform,
)
from smoothing.noise.check import require_sound
from smoothing.sampling import Samples, whole
from smoothing.streams import Stage, Stream

pytestmark = pytest.mark.filterwarnings("ignore:noise. the copies that were drawn all equal the input")


class Own(Gaussian):
    """Gaussian noise that is drawn by a function of (count, shape, source)."""

    def __init__(self, drawn):
        super().__init__(sigma=0.5)
        self.drawn = drawn

    def sample(self, x, count, source):
        return x + 0.5 * self.drawn(count, tuple(x.shape), source)


def pairs(count, shape, source):
    half = source.normal((count // 2, *shape))
    return torch.cat([half, -half])


def alternating_pairs(count, shape, source):
    half = source.normal((count // 2, *shape))
    return torch.stack([half, -half], dim=1).flatten(0, 1)


def tiled(count, shape, source):
    return source.normal((count // 8, *shape)).repeat(8, *[1] * len(shape))


def repeated(count, shape, source):
    return source.normal((count // 2, *shape)).repeat_interleave(2, dim=0)


def two_signs(count, shape, source):
    sign = source.integers(2, (count // 2, *[1] * len(shape))) * 2 - 1
    return sign.repeat(2, *[1] * len(shape)) * torch.ones(shape)


@pytest.mark.parametrize("shape", [(1,), (2,), (3, 8, 8), (3, 100, 100)])
@pytest.mark.parametrize(
    ("drawn", "said"),
    [
        (pairs, "pairs of copies whose mean is the input"),
        (alternating_pairs, "pairs of copies whose mean is the input"),
        (tiled, "repeats copies within a block of"),
        (repeated, "repeats copies within a block of"),
        (two_signs, "repeats copies within a block of"),
    ],
)
def test_dependent_copies_are_refused(shape, drawn, said):
    x = torch.rand(shape)
    g = SmoothedClassifier(lambda b: b.flatten(1)[:, [0, -1]], Own(drawn))
    with pytest.raises(BaseFunctionError, match=f"noise: Gaussian.*{said}.*draw random numbers of shape") as error:
        g.predict(x, n=100)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("offset", [0.0, 200.0])
def test_pairs_are_found_up_to_rounding(offset):
    with pytest.raises(BaseFunctionError, match="pairs of copies"):
        SmoothedClassifier(lambda b: b[:, :2], Own(pairs)).predict(offset + torch.rand(50), n=100)


SHAPES = [(1, 1, 2), (1, 2, 2), (3, 4, 4)]
OWN = {
    "gaussian": [Gaussian(0.5), Gaussian(1e6), *(Gaussian(s, g) for s, g in [(0.5, 1), (0.002, 255), (16.0, 65536)])],
    "uniform": [Uniform(0.5), *(Uniform(s, g) for s, g in [(0.3, 1), (0.0012, 255), (0.5, 255)])],
    "splitting": [Splitting(s, n) for s, n in [(0.3, 1), (0.25, 4), (5.0, 4), (30.0, 4)]],
    "dssn": [DeterministicSplitting(s, n, shape) for s, n in [(0.3, 1), (0.5, 4), (5.0, 4)] for shape in SHAPES],
    "ablation": [Ablation(keep, shape) for keep in (1, 2) for shape in SHAPES],
    "patches": [kind(1, shape) for kind in (BandAblation, BlockAblation) for shape in SHAPES],
}


@pytest.mark.parametrize("kind", OWN)
def test_independent_copies_are_not(kind):
    for noise in OWN[kind]:
        for shape in [noise.shape] if hasattr(noise, "shape") else [(1,), (2,), *SHAPES]:
            for seed in range(20):
                x = (torch.arange(torch.Size(shape).numel()) % 2).float().view(shape)
                Samples(x, noise, whole, Stream(seed, 0, Stage.CENTER), 100).require_sound()


@pytest.mark.parametrize("rare", [1 / 2, 1 / 4, 1 / 16, 1 / 64, 1 / 512])
@pytest.mark.parametrize("shape", [(1,), (3, 100, 100)])
def test_two_values_of_any_probability_are_no_pattern(rare, shape):
    """With one copy in 64 that differs, a single block has a period in one case of 300."""
    generator, x = torch.Generator().manual_seed(0), torch.zeros(1).expand(shape)
    for _ in range(300 if shape == (1,) else 20):
        blocks = (torch.rand(3, 64, generator=generator) < rare).float()

        def block(number, count, blocks=blocks):
            return blocks[number, :count].view(count, *[1] * len(shape)).expand(count, *shape)

        require_sound(Gaussian(0.5), x, block, random=True)
