"""The certifiers, noises and models that `tightness` attacks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from experiments.benchmarks import attacked_models as models
from experiments.benchmarks.attacks_on_centers import attack_center, attack_exact_center
from experiments.benchmarks.attacks_on_classifiers import LEVEL, attack_exactly, attack_l1, attack_l2
from experiments.benchmarks.attacks_on_intervals import attack_exact_interval, attack_interval, attack_segments
from experiments.benchmarks.attacks_on_patches import attack_by_patches, attack_center_by_patches
from experiments.benchmarks.attacks_on_sets import attack_exact_set, attack_set
from experiments.benchmarks.attempts import Attempt
from experiments.data.digits import Digits
from smoothing import (
    L2,
    Adaptive,
    Angular,
    BalancedCenterSmoothing,
    BandAblation,
    BlockAblation,
    CenterSmoothing,
    CenterSmoothingHD,
    Certify,
    ConformalSets,
    DeterministicSplitting,
    ExactBalancedCenterSmoothing,
    ExactCenterSmoothing,
    ExactCertify,
    ExactConformalSets,
    ExactMeanSmoothing,
    ExactMedianSmoothing,
    Gaussian,
    Jaccard,
    MeanSmoothing,
    MedianSmoothing,
    SegmentSmoothing,
    Splitting,
    TotalVariation,
    Uniform,
)

Q = 0.75  # of balanced center smoothing
CLASSIFY = {"n0": 100, "n": 10_000, "alpha": 0.001, "batch_size": 1000}
CENTER = {"n": 1000, "m": 1000, "delta": 0.1, "alpha1": 0.001, "alpha2": 0.001, "batch_size": 1000}
INTERVALS = {"n": 10_000, "batch_size": 1000}
BY_HAND = {**CENTER, "n": 2000, "m": 2000, "delta": 0.08}
FINE = 255  # levels of the noise for functions of one number
FINE_SIGMA = 0.2888  # gives 255 noisy inputs
COLUMNS = 99  # of an image of one row
IMAGE = (1, 8, 8)

Attack = Callable[[Tensor, int], list[Attempt]]


@dataclass(frozen=True)
class Case:
    """A certifier under a noise, with a model to attack.

    Attributes:
        certifier: its name in conf/certifier.
        noise: its name in conf/noise.
        metric: the output metric's name in conf/metric, "class" for classes, or "number" for an interval.
        model: the attacked model, in a word or two.
        inputs: inputs to certify, (examples, *input shape).
        attack: maps an input and its number to the attempts on its certificate. No attempts without a certificate.
    """

    certifier: str
    noise: str
    metric: str
    model: str
    inputs: Tensor
    attack: Attack


def on_classifiers(seed: int) -> Iterator[Case]:
    """Classifiers against l2, against l1 by sampling, and against l1 on the grid by counting."""
    images, levels = models.images(), Digits.levels
    gaussian, uniform, ssn = Gaussian(0.5, levels), Uniform(0.5, levels), Splitting(0.5, levels)
    half_space = models.half_space(*models.between_two_digits())
    for f, model, inputs in (
        (models.classifier(gaussian, seed), "CNN", images[:20]),
        (half_space, "half-space", images[:30]),
    ):
        certify = Certify(f, gaussian, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
        yield Case("certify", "gaussian", "class", model, inputs, partial(attack_l2, certify))
        adaptive = Adaptive(f, gaussian, mode="radius", tolerance=0.02, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
        yield Case("adaptive", "gaussian", "class", model, inputs, partial(attack_l2, adaptive))
    for noise, name, grid in ((uniform, "uniform", None), (ssn, "ssn", levels)):
        for f, model, reach in ((models.classifier(noise, seed), "CNN", 4.0), (models.one_pixel, "one pixel", 1.5)):
            certify = Certify(f, noise, seed=seed, **CLASSIFY)  # type: ignore[arg-type]
            attack = partial(attack_l1, certify, reach=reach, grid=grid)
            yield Case("certify", name, "class", model, images[:15], attack)
    dssn, fine = DeterministicSplitting(0.5, levels, IMAGE, seed), DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    exact = ExactCertify(models.classifier(dssn, seed), dssn, batch_size=1000)
    yield Case("exact", "dssn", "class", "CNN", images[:40], partial(attack_exactly, exact))
    exact = ExactCertify(models.one_pixel, fine, batch_size=1000)
    starts = torch.arange(0, 120, 12)[:, None] / FINE
    yield Case("exact", "dssn", "class", "one pixel", starts, partial(attack_exactly, exact))


def on_centers(seed: int) -> Iterator[Case]:
    """Center smoothing against l2, for each metric and by Smooth-HD, and against l1 on the grid."""
    images, noise = models.images(), Gaussian(0.2)
    autoencoder, boxes = models.autoencoder(noise, seed), models.Boxes(seed)
    for f, model, metric, name in (
        (autoencoder, "autoencoder", L2(), "l2"),
        (autoencoder, "autoencoder", TotalVariation(), "tvd"),
        (autoencoder, "autoencoder", Angular(), "angular"),
        (boxes, "random boxes", Jaccard(), "jaccard"),
    ):
        h = CenterSmoothing(f, noise, metric, seed=seed, **CENTER)  # type: ignore[arg-type]
        yield Case("center", "gaussian", name, model, images[:40], partial(attack_center, h, eps=0.2))
    h = CenterSmoothingHD(autoencoder, noise, L2(), seed=seed, **CENTER)  # type: ignore[arg-type]
    yield Case("center_hd", "gaussian", "l2", "autoencoder", images[:40], partial(attack_center, h, eps=0.2))
    for by_hand, model, starts, eps in (
        (models.two_points, "two points", torch.linspace(-1.6, -0.3, 40), 0.5),
        (models.four_points, "four points", torch.zeros(40), 0.35),
    ):
        h = CenterSmoothing(by_hand, Gaussian(1.0), L2(), seed=seed, **BY_HAND)  # type: ignore[arg-type]
        attack = partial(attack_center, h, eps=eps, direction=torch.ones(1))
        yield Case("center", "gaussian", "l2", model, starts[:, None], attack)
    dssn = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed)
    autoencoder = models.autoencoder(dssn, seed)
    for metric, name in ((L2(), "l2"), (TotalVariation(), "tvd"), (Angular(), "angular")):
        exact = ExactCenterSmoothing(autoencoder, dssn, metric, batch_size=1000)
        yield Case("exact_center", "dssn", name, "autoencoder", images[:15], partial(attack_exact_center, exact))
    fine = DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    exact = ExactCenterSmoothing(models.four_points_under_splitting(FINE), fine, L2(), batch_size=1000)
    yield Case("exact_center", "dssn", "l2", "four points", torch.zeros(1, 1), partial(attack_exact_center, exact))


def on_balanced_centers(seed: int) -> Iterator[Case]:
    """Balanced center smoothing. q and rho come from other images than those that are certified."""
    images, noise = models.images(), Gaussian(0.2)
    autoencoder, boxes = models.autoencoder(noise, seed), models.Boxes(seed)
    balanced = {name: CENTER[name] for name in ("n", "m", "alpha1", "alpha2", "batch_size")}
    for f, model, metric, name in (
        (autoencoder, "autoencoder", L2(), "l2"),
        (autoencoder, "autoencoder", TotalVariation(), "tvd"),
        (autoencoder, "autoencoder", Angular(), "angular"),
        (boxes, "random boxes", Jaccard(), "jaccard"),
    ):
        rho = _rho(CenterSmoothing(f, noise, metric, seed=seed, **CENTER), images[40:50])  # type: ignore[arg-type]
        h = BalancedCenterSmoothing(f, noise, metric, q=Q, rho=rho, seed=seed, **balanced)  # type: ignore[arg-type]
        yield Case("balanced", "gaussian", name, model, images[:40], partial(attack_center, h, eps=0.2))
    by_hand = balanced | {"n": BY_HAND["n"], "m": BY_HAND["m"]}
    h = BalancedCenterSmoothing(models.three_points, Gaussian(1.0), L2(), q=Q, rho=2.0, seed=seed, **by_hand)  # type: ignore[arg-type]
    attack = partial(attack_center, h, eps=0.35, direction=torch.ones(1))
    yield Case("balanced", "gaussian", "l2", "three points", torch.zeros(40, 1), attack)
    dssn = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed)
    autoencoder = models.autoencoder(dssn, seed)
    rho = _rho(ExactCenterSmoothing(autoencoder, dssn, L2(), batch_size=1000), images[40:50])
    exact = ExactBalancedCenterSmoothing(autoencoder, dssn, L2(), q=Q, rho=rho, batch_size=1000)
    attack = partial(attack_exact_center, exact)
    yield Case("exact_balanced", "dssn", "l2", "autoencoder", images[:15], attack)


def on_intervals(seed: int) -> Iterator[Case]:
    """Medians and means of one number against l2, and medians against l1 on the grid."""
    images, noise, wide = models.images(), Gaussian(0.2), Gaussian(1.0)
    pixel, starts = models.pixel_of(models.autoencoder(noise, seed)), torch.linspace(-1, 1, 20)[:, None]
    for f, law, model, inputs, eps, ends in (
        (pixel, noise, "autoencoder", images[:20], 0.2, (0.0, 1.0)),
        (models.identity, wide, "identity", starts, 0.5, (-4.0, 4.0)),
    ):
        median, sure = (
            MedianSmoothing(f, law, alpha=a, seed=seed, **INTERVALS)  # type: ignore[arg-type]
            for a in (0.001, LEVEL)
        )
        yield Case("median", "gaussian", "number", model, inputs, partial(attack_interval, median, sure, eps=eps))
        mean, surely = (
            MeanSmoothing(f, law, low=ends[0], high=ends[1], alpha=a, seed=seed, **INTERVALS)  # type: ignore[arg-type]
            for a in (0.001, LEVEL)
        )
        yield Case("mean", "gaussian", "number", model, inputs, partial(attack_interval, mean, surely, eps=eps))
    dssn, fine = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed), DeterministicSplitting(FINE_SIGMA, FINE, (1,))
    places = torch.arange(60, 180, 12)[:, None] / FINE
    for f, finite, model, inputs in (
        (models.pixel_of(models.autoencoder(dssn, seed)), dssn, "autoencoder", images[:10]),
        (models.identity, fine, "identity", places),
    ):
        exact = ExactMedianSmoothing(f, finite, batch_size=1000)
        yield Case("exact_median", "dssn", "number", model, inputs, partial(attack_exact_interval, exact))
        exact_mean = ExactMeanSmoothing(f, finite, low=0, high=1, batch_size=1000)
        yield Case("exact_mean", "dssn", "number", model, inputs, partial(attack_exact_interval, exact_mean))


def on_segments(seed: int) -> Iterator[Case]:
    """Certified classes of positions against l2."""
    noise = Gaussian(0.2)
    for f, model, inputs, eps in (
        (models.segmenter(noise, seed), "segmenter", models.mosaics()[:10], 0.1),
        (models.dark_pixels, "dark pixels", models.images()[:20], 0.3),
    ):
        segment = SegmentSmoothing(f, noise, seed=seed, n0=100, n=4000, batch_size=1000)
        yield Case("segment", "gaussian", "class", model, inputs, partial(attack_segments, segment, eps=eps))


def on_patches(seed: int) -> Iterator[Case]:
    """Classes and centers against patches, under band and block ablation."""
    images = models.images()
    bands, blocks, columns = BandAblation(2, IMAGE), BlockAblation(3, IMAGE), BandAblation(1, (1, 1, COLUMNS))
    for law, name in ((bands, "band"), (blocks, "block")):
        exact = ExactCertify(models.classifier(law, seed), law, batch_size=1000)
        yield Case("exact", name, "class", "CNN", images[:30], partial(attack_by_patches, exact))
        center = ExactCenterSmoothing(models.autoencoder(law, seed), law, L2(), batch_size=1000)
        yield Case("exact_center", name, "l2", "autoencoder", images[:15], partial(attack_center_by_patches, center))
    black = torch.zeros(1, 1, 1, COLUMNS)
    exact = ExactCertify(models.all_seen_is_black, columns, batch_size=1000)
    yield Case("exact", "band", "class", "all is black", black, partial(attack_by_patches, exact))
    center = ExactCenterSmoothing(models.four_points_of_columns(COLUMNS), columns, L2(), batch_size=1000)
    yield Case("exact_center", "band", "l2", "four points", black, partial(attack_center_by_patches, center))


def on_sets(seed: int) -> Iterator[Case]:
    """Conformal sets against l2, and against l1 on the grid. Other digits calibrate them."""
    images, labels, gaussian = models.images(), Digits().testing().labels, Gaussian(0.25, Digits.levels)
    numbers, ones = torch.full((240, 1), 0.5), torch.ones(240, dtype=torch.int64)
    for f, law, model, inputs, classes, eps in (
        (models.classifier(gaussian, seed), gaussian, "CNN", images, labels, 0.25),
        (models.positive, Gaussian(1.0), "sign", numbers, ones, 0.5),
    ):
        sets = ConformalSets(f, law, n=4000, held_out=200, seed=seed, batch_size=1000)
        sets.calibrate_on(zip(inputs[-200:], classes[-200:].tolist(), strict=True))
        attack = partial(attack_set, sets, classes, eps=eps)
        yield Case("conformal", "gaussian", "class", model, inputs[:40], attack)
    dssn = DeterministicSplitting(0.5, Digits.levels, IMAGE, seed)
    exact = ExactConformalSets(models.classifier(dssn, seed), dssn, held_out=200, batch_size=1000)
    attack = partial(attack_exact_set, exact, labels, steps=8)
    yield Case("exact_conformal", "dssn", "class", "CNN", images[:15], attack)


def _rho(h: CenterSmoothing | ExactCenterSmoothing, images: Tensor) -> float:
    """A radius within which the centers at other images hold the share `Q` of the outputs. 1 if there is no center."""
    drawn = [h.draw(x, example=k).distances for k, x in enumerate(images)]
    return max((float(np.quantile(distances, Q)) for distances in drawn if len(distances)), default=1.0)


def all_cases(seed: int) -> Iterator[Case]:
    """All of them, with models trained by this seed."""
    for cases in (on_classifiers, on_centers, on_balanced_centers, on_intervals, on_segments, on_patches, on_sets):
        yield from cases(seed)
