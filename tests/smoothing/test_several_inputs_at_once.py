"""The copies and the checks of several inputs under one finite noise are made in one step: nothing else changes."""

import pytest
import torch
from torch import Tensor

from smoothing import (
    BandAblation,
    BaseFunctionError,
    BlockAblation,
    DeterministicSplitting,
    SettingError,
    SmoothedClassifier,
    Splitting,
)
from smoothing.noise import FiniteNoise, check

LEVELS, SHAPE = 16, (1, 4, 4)
NOISES = [DeterministicSplitting(0.5, LEVELS, SHAPE, seed=3), BandAblation(2, SHAPE), BlockAblation(3, SHAPE)]
SPLITTING = NOISES[0]


def images(count: int) -> Tensor:
    return torch.randint(LEVELS + 1, (count, *SHAPE), generator=torch.Generator().manual_seed(0)) / LEVELS


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        weights = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))
        self.register_buffer("weights", weights - weights.mean(dim=0))

    def forward(self, x: Tensor) -> Tensor:
        return x.nan_to_num(0.5).flatten(1) @ self.weights


def certificates(noise, xs, batch_size):
    g = SmoothedClassifier(Network(), noise, batch_size=batch_size)
    return [result for result, _ in g.engine.run_all(g.certifying_exactly(x) for x in xs)]


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_the_copies_of_several_inputs_are_those_of_each(noise):
    xs = images(5)
    alone = torch.stack([noise.copies(x, 0, noise.steps) for x in xs])
    together = noise.copies_of_each(xs)
    assert torch.equal(together.nan_to_num(-1), alone.nan_to_num(-1))
    assert not torch.equal(alone[0].nan_to_num(-1), alone[1].nan_to_num(-1))
    by_default = FiniteNoise.copies_of_each(noise, xs)
    assert torch.equal(by_default.nan_to_num(-1), alone.nan_to_num(-1))


@pytest.mark.parametrize("numbers", [2**18, 1000, 1])
@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_certificates_are_those_of_each_input(noise, numbers, monkeypatch):
    """Batches of 100 contain several inputs whole, and parts of others; little memory has room for few inputs."""
    monkeypatch.setattr("smoothing.blocks.TOGETHER", numbers)
    xs = images(30)
    alone = [SmoothedClassifier(Network(), noise, batch_size=7).certify_exactly(x) for x in xs]
    assert len({(each.prediction, each.n_a) for each in alone}) > 3
    assert certificates(noise, xs, batch_size=100) == alone


@pytest.mark.parametrize("noise", NOISES, ids=repr)
def test_several_inputs_take_one_step(noise, monkeypatch):
    """Except the one that begins a batch and the one that ends it, whose copies are in two batches."""
    calls = []
    whole = type(noise).copies_of_each
    monkeypatch.setattr(type(noise), "copies_of_each", lambda self, xs: calls.append(len(xs)) or whole(self, xs))
    certificates(noise, images(30), batch_size=10 * noise.steps)
    assert calls == [2, 10, 10, 10]  # the first is the check of the noise


class Brighter(DeterministicSplitting):
    """Overrides `copies` alone, so the inherited method for several inputs is about other copies."""

    def copies(self, x, first, count):
        return super().copies(x, first, count) + 1.0


def test_a_noise_with_other_copies_of_one_input():
    seen = []
    g = SmoothedClassifier(
        lambda batch: (seen.append(batch.clone()), torch.eye(3)[torch.zeros(len(batch)).long()])[1],
        Brighter(0.5, LEVELS, SHAPE),
        batch_size=10 * SPLITTING.steps,
    )
    assert len(list(g.engine.run_all(g.certifying_exactly(x) for x in images(20)))) == 20
    assert min(float(batch[: SPLITTING.steps].min()) for batch in seen) >= 1.0


class Mixes(DeterministicSplitting):
    """Several inputs get copies of their mean: each would get votes of the others."""

    def copies_of_each(self, xs):
        return super().copies_of_each(xs.mean(dim=0, keepdim=True).mul(LEVELS).round().div(LEVELS).expand_as(xs))


class FromOne(DeterministicSplitting):
    def copies_of_each(self, xs):
        return super().copies_of_each(xs).roll(1, dims=0)


class Fewer(DeterministicSplitting):
    def copies_of_each(self, xs):
        return super().copies_of_each(xs)[:, :-1]


class Flat(DeterministicSplitting):
    def copies_of_each(self, xs):
        return super().copies_of_each(xs).flatten(0, 1)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (Mixes, "gives other copies with copies_of_each than with copies"),
        (FromOne, "gives other copies with copies_of_each than with copies"),
        (Fewer, f"expected 2 x {SPLITTING.steps} noisy copies of the input"),
        (Flat, f"expected 2 x {SPLITTING.steps} noisy copies of the input"),
    ],
)
def test_copies_of_several_inputs_that_are_not_those_of_each(noise, message):
    with pytest.raises(BaseFunctionError, match=message):
        certificates(noise(0.5, LEVELS, SHAPE), images(20), batch_size=10 * SPLITTING.steps)


class Repeats(BandAblation):
    """Each input has bands of all inputs."""

    def copies_of_each(self, xs):
        mixed = xs.repeat(self.steps, 1, 1, 1).view(len(xs), self.steps, *xs.shape[1:])
        return torch.where(self._shown(torch.arange(self.steps)), mixed, torch.nan)


class LastOfMany(DeterministicSplitting):
    """The last of five and more inputs has the copies of the one before."""

    def copies_of_each(self, xs):
        copies = super().copies_of_each(xs)
        return torch.cat([copies[:-1], copies[-2:-1]]) if len(xs) > 4 else copies


class Swaps(DeterministicSplitting):
    def copies_of_each(self, xs):
        return super().copies_of_each(xs.flip(0))


class WrongLater(DeterministicSplitting):
    """Right in the first calls, as a table that fills up."""

    def copies_of_each(self, xs):
        self.calls = getattr(self, "calls", 0) + 1
        copies = super().copies_of_each(xs)
        return copies if self.calls < 20 else copies.flip(0)


@pytest.mark.parametrize(
    ("noise", "xs"),
    [
        (Repeats(2, SHAPE), [torch.zeros(SHAPE), *images(9)]),  # a constant image is the first
        (Repeats(2, SHAPE), [torch.full(SHAPE, float(k % 4 == 1)) for k in range(10)]),
        (Swaps(0.5, LEVELS, (1,)), [torch.tensor([float(k % 3 == 1)]) for k in range(10)]),  # inputs of one number
        (LastOfMany(0.5, LEVELS, SHAPE), images(20)),
        (WrongLater(0.5, LEVELS, SHAPE), images(500)),
    ],
    ids=["constant first", "constant", "one number", "last", "later"],
)
def test_copies_of_the_inputs_of_a_batch_are_compared(noise, xs):
    g = SmoothedClassifier(lambda z: z.flatten(1).nan_to_num(0.5)[:, :1] - torch.tensor([0.5, 0.0]), noise)
    g.engine.batch_size = 10 * noise.steps
    with pytest.raises(BaseFunctionError, match="gives other copies with copies_of_each than with copies"):
        list(g.engine.run_all(g.certifying_exactly(x) for x in xs))


def test_few_batches_are_compared(monkeypatch):
    """On CUDA the host waits for each comparison."""
    compared = []
    monkeypatch.setattr(check, "require_same_copies", lambda noise, xs, together: compared.append(len(xs)))
    certificates(SPLITTING, images(700), batch_size=10 * SPLITTING.steps)
    assert compared == [10] * 6  # batches 0 to 3, 32 and 64 of 70


class Dark(DeterministicSplitting):
    """Covers only dark images. It overrides the check of one input alone."""

    def require(self, x):
        super().require(x)
        if x.max() > 0.5:
            raise SettingError("input: too bright")


class Broken(DeterministicSplitting):
    def require_each(self, xs):
        raise ValueError("several")


@pytest.mark.parametrize("batch_size", [5, 10 * SPLITTING.steps])
@pytest.mark.parametrize(
    ("noise", "wrong", "error"),
    [
        (SPLITTING, torch.full(SHAPE, 0.51), r"input: 0\.51 is not a multiple of 1/16"),
        (SPLITTING, torch.zeros(1, 4, 5), r"input: expected shape \(1, 4, 4\)"),
        (SPLITTING, torch.full(SHAPE, 0.51).double(), r"input: 0\.51 is not a multiple of 1/16"),
        (Dark(0.5, LEVELS, SHAPE), torch.ones(SHAPE), "input: too bright"),
    ],
    ids=["off the grid", "another shape", "another dtype", "an own check"],
)
def test_an_input_that_is_not_covered_fails_alone_and_in_its_turn(noise, wrong, error, batch_size):
    xs = [*(images(3) / 2).mul(LEVELS).round().div(LEVELS), wrong, *images(2)]
    g = SmoothedClassifier(Network(), noise, batch_size=batch_size)
    found = g.engine.run_all(g.certifying_exactly(x) for x in xs)
    alone = [g.certify_exactly(x) for x in xs[:3]]
    assert [next(found)[0] for _ in range(3)] == alone
    with pytest.raises(SettingError, match=error):
        next(found)


def test_inputs_of_several_dtypes_are_not_checked_together():
    """Together, torch would convert them to the widest dtype, which distinguishes more levels."""
    noise = DeterministicSplitting(0.5, 300, SHAPE)
    g = SmoothedClassifier(Network(), noise, batch_size=10 * noise.steps)
    zero = torch.zeros(SHAPE)
    found = g.engine.run_all(g.certifying_exactly(x) for x in (zero, zero, zero.bfloat16()))  # the first begins alone
    assert [next(found)[0].n for _ in range(2)] == [noise.steps] * 2
    with pytest.raises(SettingError, match="bfloat16 cannot distinguish 301 levels"):
        next(found)


def test_a_check_of_several_inputs_that_fails_without_reason():
    """Each input is checked by itself then, and all are covered."""
    noise = Broken(0.5, LEVELS, SHAPE)
    expected = certificates(DeterministicSplitting(0.5, LEVELS, SHAPE), images(20), batch_size=7)
    assert certificates(noise, images(20), 10 * noise.steps) == expected


@pytest.mark.parametrize("noise", [SPLITTING, Splitting(0.5, LEVELS)], ids=repr)
def test_one_check_finds_one_wrong_number_among_many(noise):
    xs = images(50)
    noise.require_each(xs)
    xs[40, 0, 2, 3] += 1e-4
    with pytest.raises(SettingError, match="not a multiple of 1/16"):
        noise.require_each(xs)
