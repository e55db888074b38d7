"""Band and block ablation: what a patch touches, and certificates against every patch on all small binary images."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from small_grid import GRID, STEPS_APART, Q, drawn_everywhere, noise_of, random_points

from smoothing import (
    ABSTAIN,
    L2,
    BandAblation,
    BlockAblation,
    Certify,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactCertify,
    ExactMedianSmoothing,
    SettingError,
)
from smoothing.exact_guarantee import exact_certificate
from smoothing.smoothed_classifier import count_votes
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


def patches(shape, m):
    """Every m x m patch of an image, as a mask (H, W), cut off where the image is smaller."""
    rows, columns = (range(max(1, length - m + 1)) for length in shape[1:])
    for i, j in product(rows, columns):
        mask = torch.zeros(shape[1:], dtype=torch.bool)
        mask[i : i + m, j : j + m] = True
        yield mask


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


# All binary images of a shape, and which can be reached from which by one patch.


ODDS = (0.8, 0.1, 0.05, 0.05), (0.5, 0.3, 0.1, 0.1), (0.1, 0.3, 0.5, 0.1)  # of three classes, and of none


def binary(shape):
    return torch.tensor(list(product((0.0, 1.0), repeat=shape[1] * shape[2]))).view(-1, *shape)


def reachable(images, m):
    """(n, n): whether two images differ in one m x m patch at most."""
    bits = images.flatten(1).long() @ 2 ** torch.arange(images[0].numel())
    apart = bits[:, None] ^ bits
    masks = [
        int((mask.flatten().long() * 2 ** torch.arange(mask.numel())).sum()) for mask in patches(images[0].shape, m)
    ]
    return torch.stack([(apart & ~mask) == 0 for mask in masks]).any(dim=0)


def votes_everywhere(noise, images, seed, odds):
    """Votes of three classes, or none, by a random table of everything that a noisy input can be."""
    copies = torch.cat([noise.copies(x, 0, noise.steps) for x in images]).nan_to_num(-1)
    _, place = copies.flatten(1).unique(dim=0, return_inverse=True)
    table = torch.from_numpy(np.random.default_rng(seed).choice(4, p=odds, size=int(place.max()) + 1))
    scores = torch.nn.functional.one_hot(table.clamp(max=2), 3).float()
    scores[table == 3] = torch.nan
    return [count_votes(of)[:3].tolist() for of in scores[place].split(noise.steps)]


def refuted(noise, shape, certify=exact_certificate):
    """How many certified images another within the radius refutes, and how many certificates have a positive radius."""
    images, false, positive = binary(shape), 0, 0
    near = {m: reachable(images, m) for m in range(1, max(shape[1:]) + 1)}
    for seed, odds in product(range(4), ODDS):
        found = [certify(votes, noise) for votes in votes_everywhere(noise, images, seed, odds)]
        classes, radius = (torch.tensor([getattr(c, name) for c in found]) for name in ("prediction", "radius"))
        positive += int((radius > 0).sum())
        for m, close in near.items():
            false += int((close & (classes[:, None] != classes) & (radius >= m)[:, None]).any(dim=1).sum())
    return false, positive


class Fewer:
    """Counts one neighbour less than a patch touches: m + s - 2."""

    def _touched(self, m, length):
        return super()._touched(m, length) - (m > 0)


class FewerBands(Fewer, BandAblation):
    pass


class FewerBlocks(Fewer, BlockAblation):
    pass


@pytest.mark.parametrize(
    ("kind", "wrong", "size", "shape"),
    [
        (BandAblation, FewerBands, 1, (1, 2, 5)),
        (BandAblation, FewerBands, 2, (1, 2, 5)),
        (BlockAblation, FewerBlocks, 1, (1, 3, 3)),
        (BlockAblation, FewerBlocks, 2, (1, 3, 3)),
    ],
)
def test_no_image_within_the_radius_has_another_class(kind, wrong, size, shape):
    false, positive = refuted(kind(size, shape), shape)
    assert false == 0
    assert positive > 0
    assert refuted(wrong(size, shape), shape)[0] > 0


def without_ties(votes, noise):
    """Forgets that a tie goes to the lower class."""
    found = exact_certificate(votes, noise)
    if found.prediction == ABSTAIN:
        return found
    a, count = found.prediction, votes[found.prediction]
    return exact_certificate([count, *(v for b, v in enumerate(votes) if b != a)], noise)


def test_a_tie_that_is_forgotten_is_caught():
    noise, shape = BlockAblation(1, (1, 3, 3)), (1, 3, 3)

    def certify(votes, noise):
        radius, found = without_ties(votes, noise).radius, exact_certificate(votes, noise)
        return type(found)(**(vars(found) | {"radius": radius}))

    assert refuted(noise, shape, certify)[0] > 0


@pytest.mark.parametrize(
    "noise", [BandAblation(2, (1, 2, 9)), BlockAblation(1, (1, 4, 4)), BlockAblation(2, (1, 5, 5))], ids=str
)
@pytest.mark.parametrize("a", [0, 1])
def test_the_worst_function_changes_the_class_exactly_where_nothing_is_certified(noise, a):
    """n_A noisy inputs are of class A and the others of B; those that see the patch become B. Tight for every m."""
    x, b = torch.zeros(noise.shape), 1 - a
    tight = 0
    for m in range(1, 4):
        touched = noise.affected(m)
        mask = next(patches(noise.shape, m))
        sees = (noise.copies(mask.float()[None], 0, noise.steps) == 1).flatten(1).any(dim=1)
        assert int(sees.sum()) == touched
        order = sees.int().argsort(descending=True)
        for n_a in range(touched, noise.steps + 1):
            held = torch.zeros(noise.steps, dtype=torch.bool)
            held[order[:n_a]] = True  # those that see the patch, first
            shown = noise.copies(x, 0, noise.steps).isnan().flatten(1)

            def f(batch, shown=shown, held=held):
                number = (batch.isnan().flatten(1)[:, None] == shown).all(dim=2).int().argmax(dim=1)
                changed = (batch == 1).flatten(1).any(dim=1)
                return torch.nn.functional.one_hot(torch.where(held[number] & ~changed, a, b), 2).float()

            certify = ExactCertify(f, noise)
            here, there = certify(x, 0), certify(torch.where(mask, 1.0, x), 0)
            if here.prediction == a:
                assert (here.n_a, there.prediction == a) == (n_a, here.radius >= m)
                tight += here.radius < m
    assert tight > 0


@pytest.mark.parametrize(
    ("noise", "wrong"),
    [
        (BandAblation(1, (1, 2, 5)), FewerBands(1, (1, 2, 5))),
        (BandAblation(2, (1, 2, 5)), FewerBands(2, (1, 2, 5))),
        (BlockAblation(1, (1, 3, 3)), FewerBlocks(1, (1, 3, 3))),
        (BlockAblation(2, (1, 3, 3)), FewerBlocks(2, (1, 3, 3))),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["center", "balanced"])
def test_no_patch_moves_the_center_by_more_than_eps_out(kind, noise, wrong):
    """Where f_hat answers at both; and wherever it says that it surely answers, it does."""
    images = binary(noise.shape)
    near = {m: reachable(images, m) for m in range(1, 3)}
    false = caught = certified = 0
    for f in (random_points(1, 1, values=2), random_points(3, 2, values=2), mostly(0.75)):
        h = make(kind, f, noise)
        draws, moved = drawn_everywhere(h, images)
        answers = torch.tensor([h.read(d, 0).status == "certified" for d in draws])
        for m, close in near.items():
            found, too_small = ([make(kind, f, law).read(d, m) for d in draws] for law in (noise, wrong))
            eps_out, less = (torch.tensor([c.eps_out for c in each])[:, None] for each in (found, too_small))
            both = close & answers[:, None] & answers
            false += int((both & (moved > eps_out)).sum())
            caught += int((both & (moved > less)).sum())
            certified += int(eps_out.isfinite().sum())
            if kind == "balanced":
                surely = torch.tensor([c.answers for c in found])
                false += int((close & surely[:, None] & ~answers).sum())
                within = torch.tensor([h.answers_within(d) for d in draws])
                assert torch.equal(surely, within >= m)
    assert false == 0
    assert certified > 0
    assert caught > 0


def make(kind, f, noise):
    if kind == "center":
        return ExactCenterSmoothing(f, noise, L2())
    return ExactBalancedCenterSmoothing(f, noise, L2(), q=0.6, rho=0.5)


def mostly(share):
    """0 for this share of all noisy inputs, else 5, by a hash."""
    points = random_points(5, 1, values=100)
    return lambda batch: 5 * (points(batch) >= 100 * share).float()


@pytest.mark.parametrize("noise", [BandAblation(1, (1, 2, 5)), BlockAblation(1, (1, 3, 3))], ids=str)
def test_no_patch_moves_the_median_out_of_its_interval(noise):
    images = binary(noise.shape)
    h = ExactMedianSmoothing(random_points(2, 1, values=7), noise)
    draws = [h.engine.run(h.procedure(x, 0, 0)) for x in images[::3]]
    at = torch.tensor([h.read(d, 0).estimate.item() for d in draws])
    tight = 0
    for m in (1, 2):
        close = reachable(images[::3], m)
        lower, upper = (
            torch.tensor([getattr(h.read(d, m), name).item() for d in draws])[:, None] for name in ("lower", "upper")
        )
        assert not (close & ((at < lower) | (at > upper))).any()
        tight += int((close & (at == upper) & (at > at[:, None])).sum())
    assert tight > 0


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
