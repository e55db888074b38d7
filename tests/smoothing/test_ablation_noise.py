"""Random ablation: the law of the hidden pixels, and certificates against every image of a few pixels."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from smoothing import Ablation, Certify, SettingError
from smoothing.streams import Stage, Stream

CPU = torch.device("cpu")
STREAM = Stream(seed=0, example=0, stage=Stage.ESTIMATION)


def test_every_choice_of_pixels_is_equally_probable():
    noise, counts = Ablation(2, (1, 2, 3)), {}
    for block in range(100):
        for row in noise.sample(torch.zeros(1, 2, 3), 64, STREAM.block(block, CPU)).flatten(1):
            kept = tuple(row.isnan().logical_not().nonzero()[:, 0].tolist())
            counts[kept] = counts.get(kept, 0) + 1
    assert sorted(counts) == list(combinations(range(6), 2))
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_kept_pixels_are_unchanged_in_every_channel_and_hidden_ones_tell_nothing():
    noise = Ablation(5, (3, 4, 4))
    x, other = torch.rand(3, 4, 4), torch.rand(3, 4, 4)
    found, again = (noise.sample(each, 64, STREAM.block(0, CPU)) for each in (x, other))
    hidden = found.isnan()
    assert torch.equal(hidden, again.isnan())
    assert torch.equal(hidden[:, 0], hidden[:, 2])
    assert ((~hidden[:, 0]).flatten(1).sum(dim=1) == 5).all()
    assert torch.equal(found[~hidden], x.expand_as(found)[~hidden])


def test_each_input_of_a_batch_has_its_own_choice():
    found = Ablation(4, (1, 4, 4)).sample_each(torch.rand(32, 1, 4, 4), STREAM.block(0, CPU))
    assert len({tuple(row) for row in found.isnan().flatten(1).tolist()}) > 25


def test_several_blocks_are_those_of_one_after_another():
    noise, x = Ablation(4, (1, 4, 4)), torch.rand(1, 4, 4)
    alone = torch.cat([noise.sample(x, 64, STREAM.block(k, CPU)) for k in range(3)])
    together = noise.sample(x, 192, STREAM.blocks(0, 3, CPU))
    assert torch.equal(alone.nan_to_num(-1), together.nan_to_num(-1))


@pytest.mark.parametrize(("pixels", "keep"), [(5, 1), (5, 2), (6, 6), (7, 3)])
def test_a_perturbation_is_seen_as_often_as_counted(pixels, keep):
    noise = Ablation(keep, (1, 1, pixels))
    for changed in range(pixels + 1):
        seen = sum(any(p < changed for p in kept) for kept in combinations(range(pixels), keep))
        assert noise.visible(changed) == pytest.approx(seen / comb(pixels, keep), abs=1e-12)
        assert noise.visible(changed + 0.9) == noise.visible(changed)
        assert noise.visible(changed) >= seen / comb(pixels, keep)


def test_shift_and_mass_are_inverse_and_rounded_outward():
    noise = Ablation(45, (1, 28, 28))
    for eps in (0, 1, 5.5, 8):
        for p in (0.4, 0.7, 0.99):
            there = noise.shift(p, eps)
            assert there <= p - noise.visible(eps) + 1e-15 or there == 0
            if there:
                assert noise.mass(there, eps) >= p - 1e-15
                assert noise.mass(there, eps) == pytest.approx(p, abs=1e-9)
    assert noise.shift(0.7, 0) == noise.shift(0.7, 0.9) == noise.mass(0.7, 0) == 0.7
    assert noise.shift(0.5, 784) == 0
    assert noise.mass(0.5, 784) == 1


@pytest.mark.parametrize(("p_a", "p_b"), [(0.9, None), (0.8, 0.05), (0.51, None), (0.3, 0.4), (1.0, 0.0)])
def test_the_radius_is_the_largest_that_is_certified(p_a, p_b):
    noise = Ablation(45, (1, 28, 28))
    radius, other = noise.radius(p_a, p_b), 1 - p_a if p_b is None else p_b
    assert radius == int(radius)
    if radius:
        assert p_a - noise.visible(radius) > other + noise.visible(radius)
    assert not p_a - noise.visible(radius + 1) > other + noise.visible(radius + 1) + 1e-9


# Images of four pixels with three values each; two pixels are kept.
NOISE = Ablation(2, (1, 1, 4))
IMAGES = list(product((0.0, 0.5, 1.0), repeat=4))
KEPT = list(combinations(range(4), 2))


def votes_of(image, table):
    """Votes of the three classes over all choices of pixels."""
    classes = [table[tuple(image[p] if p in kept else None for p in range(4))] for kept in KEPT]
    return np.bincount(classes, minlength=3)


def attacked(noise):
    """How many certificates an image within the radius refutes, and how many certificates are positive."""
    refuted = positive = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        seen = [tuple(image[p] if p in kept else None for p in range(4)) for image in IMAGES for kept in KEPT]
        table = {each: int(random.choice(3, p=[0.8, 0.1, 0.1])) for each in dict.fromkeys(seen)}
        votes = {image: votes_of(image, table) for image in IMAGES}
        for image in IMAGES[::4]:
            counts = votes[image]
            a = int(counts.argmax())
            radius = noise.radius(counts[a] / len(KEPT), np.delete(counts, a).max() / len(KEPT))
            positive += radius > 0
            near = [x for x in IMAGES if sum(p != q for p, q in zip(x, image, strict=True)) <= radius]
            refuted += any(
                votes[x].argmax() != a or sorted(votes[x])[-1] == sorted(votes[x])[-2] for x in near if radius
            )
    return refuted, positive


class Generous(Ablation):
    """Counts one pixel less than was changed."""

    def visible(self, eps):
        return super().visible(eps - 1)


def test_no_image_within_the_radius_has_another_class():
    assert Ablation(1, (1, 1, 4)).radius(1.0, 0.0) == 1  # one pixel of four: seen with probability 1/4
    assert attacked(NOISE) == (0, 0)  # two of four are seen in half of all cases, so nothing is certified
    refuted, positive = attacked(Generous(2, (1, 1, 4)))
    assert refuted > 0
    assert positive > 0


ONE = Ablation(1, (1, 1, 4))


def test_no_image_within_the_radius_of_one_kept_pixel_has_another_class(monkeypatch):
    monkeypatch.setattr(__name__ + ".KEPT", list(combinations(range(4), 1)))
    refuted, positive = attacked(ONE)
    assert refuted == 0
    assert positive > 50
    assert attacked(Generous(1, (1, 1, 4)))[0] > 0


def test_certificates_of_a_known_function():
    """f answers 1 if more than half of the kept pixels are white: certified where nearly all pixels are."""
    x = torch.zeros(1, 8, 8)
    x.view(-1)[:58] = 1

    def f(batch):
        white = batch.flatten(1).nanmean(dim=1)
        return torch.stack([1 - white, white], dim=1)

    certificate = Certify(f, Ablation(7, (1, 8, 8)), n0=50, n=5000, alpha=0.01)(x, 0, 1)
    assert certificate.status == "certified"
    assert certificate.prediction == 1
    assert certificate.radius >= 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0, (1, 8, 8)), r"noise\.keep: expected at least 1"),
        ((65, (1, 8, 8)), r"noise\.keep: expected 1 to 64"),
        ((1.5, (1, 8, 8)), r"noise\.keep"),
        ((2, (8,)), r"noise\.shape: expected \(channels, \.\.\.\)"),
    ],
)
def test_arguments_out_of_range(given, message):
    with pytest.raises(SettingError, match=message):
        Ablation(*given)


def test_an_input_of_another_shape_is_refused():
    with pytest.raises(SettingError, match=r"expected shape \(1, 8, 8\), as the noise's, got \(1, 8, 7\)"):
        Ablation(3, (1, 8, 8)).require(torch.zeros(1, 8, 7))
