"""What a noise declares is checked once: its threat norm, and bounds that are no impossible numbers."""

import re
from contextlib import suppress
from math import inf, nan

import pytest
import torch

from smoothing import (
    L2,
    Ablation,
    BandAblation,
    BaseFunctionError,
    BlockAblation,
    CenterSmoothing,
    DeterministicSplitting,
    Gaussian,
    SettingError,
    SmoothedClassifier,
    SmoothingWarning,
    Splitting,
    Uniform,
)
from smoothing.noise.bounds_check import require_bounds
from smoothing.noise.check import require_affected


def own(**changed):
    return type("Own", (Gaussian,), changed)(0.5)


def refuses(self, p, eps=0):
    raise SettingError("noise.shift: this one is computed elsewhere")


def unfinished(self, *given):
    raise NotImplementedError


def overflows(self, p, eps):
    return 1 - (1 - p) / (10.0 ** (400 * eps)) if eps <= 1 else 10.0 ** (400 * eps)


@pytest.mark.parametrize(
    "noise",
    [
        *(Gaussian(sigma, grid) for sigma, grid in [(0.5, 0), (0.5, 255), (1e-60, 0), (1e6, 0), (0.002, 255)]),
        *(Uniform(sigma, grid) for sigma, grid in [(0.5, 0), (0.01, 255), (1e4, 0)]),
        Splitting(0.5, 255),
        Splitting(0.3, 1),
        DeterministicSplitting(0.5, 16, (3,)),
        DeterministicSplitting(0.3, 1, (3,)),
        *(Ablation(keep, (1, 2, 2)) for keep in (1, 4)),
        Ablation(45, (1, 28, 28)),
        BandAblation(4, (3, 32, 32)),
        BandAblation(2, (1, 1, 2)),
        BlockAblation(12, (1, 28, 28)),
        BlockAblation(1, (1, 1, 1)),
        own(shift=refuses),
        own(mass=unfinished, radius=unfinished),
        own(mass=overflows),
        own(radius=lambda self, p_a, p_b=None: 0),
        own(
            shift=lambda self, p, eps: p if eps == 0 else max(0.0, p - eps),
            mass=lambda self, p0, eps: 1.0,
            radius=refuses,
        ),
    ],
    ids=str,
)
def test_noises_that_declare_what_is_possible(noise, recwarn):
    require_bounds(noise)
    assert not recwarn.list


def test_no_noise_of_the_library_contradicts_itself(recwarn):
    scales, grids = [1e-60, 1e-3, 0.01, 0.12, 0.25, 0.5, 1.0, 3.0, 100.0, 1e9], [0, 1, 10, 255, 2**16]
    for sigma in scales:
        for grid in grids:
            for kind in (Gaussian, Uniform):
                with suppress(SettingError):  # too coarse a grid
                    require_bounds(kind(sigma, grid))
        for levels in (1, 16, 255):
            with suppress(SettingError):
                require_bounds(DeterministicSplitting(sigma, levels, (2,)))
                require_bounds(Splitting(sigma, levels))
    for shape in [(1, 1, 1), (1, 1, 5), (1, 3, 3), (1, 28, 28), (3, 32, 48)]:
        for size in (1, 2, 3, 12, 28):
            for kind in (Ablation, BandAblation, BlockAblation):
                with suppress(SettingError):
                    require_bounds(kind(size, shape))
    assert not recwarn.list


CONTRADICTIONS = {
    "ten times": ({"radius": lambda self, p_a, p_b=None: 10 * Gaussian.radius(self, p_a)}, r"Own.radius\(0\.6\)"),
    "a little": ({"radius": lambda self, p_a, p_b=None: 1.01 * Gaussian.radius(self, p_a)}, r"Own.radius\(0\.6\)"),
    "another sigma": ({"shift": lambda self, p, eps: Gaussian(0.25).shift(p, eps)}, r"Own.radius\(0\.6\)"),
    "sigma forgotten in the radius": ({"radius": lambda self, p, p_b=None: Gaussian(1.0).radius(p)}, r"Own.radius\("),
    "half of the mass": ({"mass": lambda self, p0, eps: Gaussian.mass(self, p0, eps / 2)}, r"Own.mass\("),
    "infinite": ({"radius": lambda self, p_a, p_b=None: inf}, r"Own.radius\(0\.6\)"),
}


@pytest.mark.parametrize("kind", CONTRADICTIONS)
def test_bounds_that_contradict_each_other_are_a_warning(kind, recwarn):
    changed, promise = CONTRADICTIONS[kind]
    SmoothedClassifier(lambda x: x, own(**changed))
    (found,) = recwarn.list
    assert found.category is SmoothingWarning
    assert re.match(
        rf"noise: Own.shift\(.*\) gives .*, and {promise}.* promises at least .*; .*false$", str(found.message)
    )


WRONG = {
    "another spelling": ({"threat_norm": "L_2"}, r"noise.threat_norm: expected l2, l1, l0, patch or .*, got 'L_2'"),
    "no norm": ({"threat_norm": None}, r"noise.threat_norm: expected l2, l1, l0, patch or .*, got None"),
    "a probability that rises": (
        {"shift": Gaussian.mass},
        r"Own.shift\(0\.001, 0\.01\) gives .*; expected .* most 0\.001",
    ),
    "a probability that falls": (
        {"mass": Gaussian.shift},
        r"Own.mass\(0\.001, 0\.01\) gives .*; expected .* least 0\.001",
    ),
    "percent": ({"mass": lambda self, p0, eps: 100 * p0}, r"Own.mass\(0\.1, 0\) gives 10; .* and at most 1"),
    "below 0": ({"shift": lambda self, p, eps: p - eps}, r"Own.shift\(0\.001, 0\.01\) gives -0\.009; .*at least 0"),
    "NaN": ({"shift": lambda self, p, eps: nan}, r"Own.shift\(0\.001, 0\) gives nan; expected a number"),
    "nothing": ({"mass": lambda self, p0, eps: None}, r"Own.mass\(0\.001, 0\) gives None; expected a number"),
    "a tensor": ({"mass": lambda self, p0, eps: torch.tensor(1.0)}, r"gives Tensor; .*, as float\(\.\.\.\)"),
    "a signature": (
        {"shift": lambda self, p: p},
        r"Own.shift\(0\.001, 0\): .*positional argument.*; expected a number",
    ),
    "a typing mistake": ({"shift": lambda self, p, eps: self.sigm}, r"Own.shift\(0\.001, 0\): .*no attribute 'sigm'"),
    "less shift for more": (
        {"shift": lambda self, p, eps: p * min(1, eps)},
        r"Own.shift\(0\.001, 0\) gives 0 and .* 1e-05; expected shift never to increase with eps",
    ),
    "less mass for more": (
        {"mass": lambda self, p0, eps: 1 if eps < 1 else p0},
        r"Own.mass\(0\.001, 0\.1\) gives 1 and .* 0\.001; expected mass never to decrease with eps",
    ),
    "a radius below 0": ({"radius": lambda self, p_a, p_b=None: -1.0}, r"Own.radius\(0\.6\) gives -1; .*at least 0"),
    "a radius of NaN": ({"radius": lambda self, p_a, p_b=None: nan}, r"Own.radius\(0\.6\) gives nan"),
    "no radius": ({"radius": lambda self, p_a, p_b=None: None}, r"Own.radius\(0\.6\) gives None"),
    "a radius that falls": (
        {"radius": lambda self, p_a, p_b=None: 1 - p_a},
        r"Own.radius\(0\.6\) gives 0\.4 and Own.radius\(0\.9\) 0\.1; expected radius never to decrease with p_a",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_impossible_bounds_are_refused_in_one_line_before_anything_is_sampled(wrong):
    changed, message = WRONG[wrong]
    noise = own(**changed, sample=None)
    for certifier in (
        lambda: SmoothedClassifier(lambda x: x, noise),
        lambda: CenterSmoothing(lambda x: x, noise, L2(), n=1000, m=1000, delta=0.2),
    ):
        with pytest.raises(SettingError, match=message) as error:
            certifier()
        assert "\n" not in str(error.value)


def own_band(**changed):
    return type("Own", (BandAblation,), changed)(2, (1, 1, 8))


def own_dssn(**changed):
    return type("Own", (DeterministicSplitting,), changed)(0.5, 16, (3,))


class Steps(BandAblation):
    def __init__(self, steps):
        super().__init__(2, (1, 1, 8))
        self.steps = steps


LIKE = BandAblation(2, (1, 1, 8))  # 8 noisy inputs, of which affected(m) = m + 1 differ

WRONG_FINITE = {
    "too far by one": (
        lambda: own_band(reach=lambda self, count: float(max(0, count))),
        r"Own.reach\(1\) gives 1, but Own.affected\(1\) gives 2; expected a radius that affects at most 1",
    ),
    "in grid steps": (
        lambda: own_dssn(reach=lambda self, count: float(count)),
        r"Own.reach\(1\) gives 1, but Own.affected\(1\) gives 16; expected",
    ),
    "far only at the end": (
        lambda: own_band(reach=lambda self, count: LIKE.reach(count) + (count == 7)),
        r"Own.reach\(7\) gives 7, but Own.affected\(7\) gives 8; expected",
    ),
    "a reach that falls": (
        lambda: own_band(reach=lambda self, count: 1.0 if count == 2 else 0.0),
        r"Own.reach\(2\) gives 1 and Own.reach\(3\) 0; expected reach never to decrease with count",
    ),
    "no radius": (lambda: own_band(reach=lambda self, count: None), r"Own.reach\(0\) gives None"),
    "affected at 0": (
        lambda: own_band(affected=lambda self, eps: int(eps) + 1),
        r"Own.affected\(0\) gives 1; expected a number of at least 0 and at most 0",
    ),
    "affected falls": (
        lambda: own_dssn(affected=lambda self, eps: int(eps * 16) % 7, reach=lambda self, count: 0.0),
        r"Own.affected\(0.375\) gives 6 and Own.affected\(0.4375\) 0; expected affected never to decrease with eps",
    ),
    "affected in units": (
        lambda: own_dssn(affected=lambda self, eps: eps, reach=lambda self, count: float(count)),
        r"Own.affected\(0.01\) gives 0.01; expected a whole number of noisy inputs",
    ),
    "steps": (lambda: Steps(0), "noise.steps: expected a number above 0, got 0; set it in Steps"),
    "half a step": (lambda: Steps(7.5), "noise.steps: expected a whole number, got 7.5"),
    "no steps": (lambda: Steps(None), "noise.steps: expected a number above 0, got None"),
}


@pytest.mark.parametrize("wrong", WRONG_FINITE)
def test_impossible_bounds_of_a_finite_noise_are_refused(wrong):
    make, message = WRONG_FINITE[wrong]
    with pytest.raises(SettingError, match=message) as error:
        SmoothedClassifier(lambda x: x, make())
    assert "\n" not in str(error.value)


FINITE_CONTRADICTIONS = {
    "size forgotten": lambda: own_band(
        affected=lambda self, eps: int(eps),
        reach=lambda self, count: float(count),
        shift=lambda self, p, eps: LIKE.shift(p, eps),
        mass=lambda self, p0, eps: LIKE.mass(p0, eps),
        radius=lambda self, p_a, p_b=None: LIKE.radius(p_a, p_b),
    ),
    "half": lambda: own_dssn(
        affected=lambda self, eps: DeterministicSplitting.affected(self, eps) // 2,
        reach=lambda self, count: DeterministicSplitting.reach(self, 2 * count),
    ),
}


@pytest.mark.parametrize("kind", FINITE_CONTRADICTIONS)
def test_affected_that_contradicts_the_other_bounds_is_a_warning(kind, recwarn):
    SmoothedClassifier(lambda x: x, FINITE_CONTRADICTIONS[kind]())
    (found,) = recwarn.list
    assert found.category is SmoothingWarning
    assert re.match(
        r"noise: Own.(shift|mass)\(.*\) gives .*, and Own.affected\(.*\) promises a change of .*false$",
        str(found.message),
    )


def test_a_finite_noise_need_not_say_more_than_it_knows(recwarn):
    """All may be affected, the reach is 0, and sampled certificates are not supported."""
    cautious = {"affected": lambda self, eps: 10**6 if eps else 0, "reach": lambda self, count: 0.0}
    vacuous = {"shift": lambda self, p, eps: 0.0, "mass": lambda self, p, eps: 1.0, "radius": refuses}
    for make in (own_band, own_dssn):
        for changed in (cautious, vacuous, cautious | vacuous, {"affected": unfinished, "reach": unfinished}):
            require_bounds(make(**changed))
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:noise. Own.mass")  # the third contradicts its mass, too
@pytest.mark.parametrize(
    "noise",
    [
        own_band(affected=lambda self, eps: int(eps), reach=lambda self, count: float(count)),
        type("Own", (BlockAblation,), {"affected": lambda self, eps: min(36, int(eps))})(3, (1, 6, 6)),
        own_dssn(affected=lambda self, eps: int(eps), reach=lambda self, count: float(count)),
    ],
    ids=["size of a band", "size of a block", "levels"],
)
def test_affected_that_one_changed_number_refutes_is_refused(noise):
    """Where `shift` and `mass` follow from `affected`, nothing else contradicts it."""
    x = (torch.arange(torch.Size(noise.shape).numel()) % 3).div(2).view(noise.shape)
    with pytest.raises(BaseFunctionError, match=r"noise: affected\(.*\) of .* gives \d, but \d+ of its noisy inputs"):
        require_affected(noise, x)
    with pytest.raises(BaseFunctionError, match="where one number of the input changes; exact certificates would be f"):
        SmoothedClassifier(lambda z: z.nan_to_num().flatten(1)[:, :2], noise).certify_exactly(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_affected_of_the_library_is_never_refuted(dtype):
    generator = torch.Generator().manual_seed(0)
    for levels in (1, 10, 16, 255):
        noises = [DeterministicSplitting(s, levels, (1, 3, 4)) for s in (0.3, 0.5, 5.0)]
        noises += [BandAblation(1, (1, 3, 4)), BandAblation(2, (1, 3, 4)), BlockAblation(2, (1, 3, 4))]
        for noise in noises:
            for _ in range(20):
                x = torch.randint(levels + 1, (1, 3, 4), generator=generator).to(dtype) / levels
                require_affected(noise, x)


@pytest.mark.parametrize("shape", [(3,), (3, 300, 300)])
def test_copies_that_all_equal_the_input_are_a_warning(shape):
    forgotten = own(sample=lambda self, x, count, source: x.expand(count, *x.shape).clone())
    for noise in (forgotten, Gaussian(sigma=1e-60)):
        with pytest.warns(SmoothingWarning, match="noise: the copies that were drawn all equal the input: .*forgotten"):
            SmoothedClassifier(lambda x: x.flatten(1)[:, :2], noise).predict(torch.full(shape, 0.5), n=20)


def test_copies_of_little_noise_are_no_warning(recwarn):
    SmoothedClassifier(lambda x: x[:, :2], Gaussian(sigma=0.002, grid=255)).predict(torch.full((9,), 0.2), n=100)
    assert not [each for each in recwarn if issubclass(each.category, SmoothingWarning)]
