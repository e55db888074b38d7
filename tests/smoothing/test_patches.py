"""Certificates against patches: every patch with every content, on all small binary images."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from small_grid import drawn_everywhere, random_points
from small_patches import FewerBands, FewerBlocks, binary, patches, reachable

from smoothing import (
    ABSTAIN,
    L2,
    BandAblation,
    BlockAblation,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactCertify,
    ExactMedianSmoothing,
)
from smoothing.exact_guarantee import exact_certificate
from smoothing.votes import Votes

pytestmark = pytest.mark.long

# All binary images of a shape, and which can be reached from which by one patch.


ODDS = (0.8, 0.1, 0.05, 0.05), (0.5, 0.3, 0.1, 0.1), (0.1, 0.3, 0.5, 0.1)  # of three classes, and of none


def votes_everywhere(noise, images, seed, odds):
    """Votes of three classes, or none, by a random table of everything that a noisy input can be."""
    copies = torch.cat([noise.copies(x, 0, noise.steps) for x in images]).nan_to_num(-1)
    _, place = copies.flatten(1).unique(dim=0, return_inverse=True)
    table = torch.from_numpy(np.random.default_rng(seed).choice(4, p=odds, size=int(place.max()) + 1))
    scores = torch.nn.functional.one_hot(table.clamp(max=2), 3).float()
    scores[table == 3] = torch.nan
    return [Votes()(of)[:3].tolist() for of in scores[place].split(noise.steps)]


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
            stored = [replace(d, origin=None) for d in draws]  # which the wrong noise may read
            found, too_small = ([make(kind, f, law).read(d, m) for d in stored] for law in (noise, wrong))
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
