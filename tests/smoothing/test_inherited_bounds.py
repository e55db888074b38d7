"""A warning where a noise of one's own inherits bounds that are proved for other copies, or for another threat norm."""

import warnings

import pytest

from smoothing import (
    Ablation,
    BandAblation,
    BlockAblation,
    DeterministicSplitting,
    Gaussian,
    SmoothingWarning,
    Splitting,
    Uniform,
)
from smoothing.noise.bounds_check import require_bounds


def relative(self, x, count, source):
    """Noise as large as the input: at x' it is not that at x, so no bound of Gaussian noise holds."""
    return x * (1 + self.sigma * source.normal((count, *x.shape)))


class Relative(Gaussian):
    sample = relative


class OfUniform(Uniform):
    def around(self, x):
        return lambda count, source: x + self.lam * source.uniform((count, *x.shape))


class Mixin:
    sample = relative


class Mixed(Mixin, Gaussian):
    pass


class RadiusInherited(Relative):
    shift, mass = Gaussian.shift, Gaussian.mass


class Clamped(Gaussian):
    """Each copy is a function of a copy of `Gaussian`, so its bounds hold."""

    shift, mass, radius = Gaussian.shift, Gaussian.mass, Gaussian.radius

    def sample(self, x, count, source):
        return super().sample(x, count, source).clamp(0, 1)


class Named(Gaussian):
    def __repr__(self):
        return "my noise"


class Unlimited(Gaussian):
    threat_norm = "linf"


def warned(noise):
    """The texts of the warnings about a noise's bounds."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        require_bounds(noise)
    assert all(each.category is SmoothingWarning for each in given)
    return [str(each.message) for each in given]


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (
            Relative(0.5),
            "Relative draws copies of its own, but inherits bounds for copies of Gaussian: shift, mass",
        ),
        (
            OfUniform(0.5),
            "OfUniform draws copies of its own, but inherits bounds for copies of Uniform: shift, mass",
        ),
        (
            Mixed(0.5),
            "Mixin draws copies of its own, but inherits bounds for copies of Gaussian: shift, mass",
        ),
        (
            RadiusInherited(0.5),
            "inherits bounds for copies of Gaussian: radius. Certificates are false",
        ),
        (
            Unlimited(0.5),
            "Unlimited has threat_norm = 'linf', but inherits bounds for 'l2': shift, mass, radius",
        ),
    ],
    ids=lambda case: type(case).__name__,
)
def test_inherited_bounds_of_another_noise_are_a_warning(noise, expected):
    (found,) = warned(noise)
    assert expected in found


@pytest.mark.parametrize(
    "noise",
    [
        Clamped(0.5),
        Named(0.5),
        type("Below", (Clamped,), {})(0.5),
        *(made(0.5, grid) for made in (Gaussian, Uniform) for grid in (None, 255)),
        Splitting(0.5, 255),
        DeterministicSplitting(0.5, 16, (3,)),
        Ablation(4, (1, 4, 4)),
        BandAblation(2, (1, 4, 4)),
        BlockAblation(2, (1, 4, 4)),
    ],
    ids=lambda noise: type(noise).__name__,
)
def test_own_bounds_and_those_that_the_class_names_are_none(noise):
    assert not warned(noise)
