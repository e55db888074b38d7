"""Results of a user's metric are checked: wrong shapes, other types and similarities are refused."""

import warnings

import pytest
import torch

from smoothing import (
    L2,
    LPIPS,
    Angular,
    BalancedCenterSmoothing,
    CenterSmoothing,
    CenterSmoothingHD,
    DeterministicSplitting,
    ExactCenterSmoothing,
    FiniteSpace,
    Gaussian,
    MaskJaccard,
    Metric,
    SettingError,
    SmoothingWarning,
    TotalVariation,
)

X = torch.rand(16, generator=torch.Generator().manual_seed(0))
W = torch.randn(16, 3, generator=torch.Generator().manual_seed(1))


def own(distance, **more):
    """A metric with this function as its `_distance`."""
    return type("Own", (Metric,), {"_distance": lambda self, a, b: distance(a, b), **more})()


def norm(a, b):
    return torch.linalg.vector_norm((a.double() - b.double()).flatten(1), dim=1)


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(a.double().flatten(1), b.double().flatten(1))


def kl(a, b):
    p, q = a.double().softmax(dim=1), b.double().softmax(dim=1)
    return (p * (p / q).log()).sum(dim=1)


def certified(metric, certifier=CenterSmoothing):
    return certifier(lambda b: b @ W, Gaussian(0.25), metric, n=1000, m=1000, delta=0.15).certify(X, 0.1)


WRONG = {
    "one distance for all": (lambda a, b: torch.stack([norm(s[None], t[None])[0] for s, t in zip(a, b)]), "shape"),  # noqa: B905
    "keepdim": (lambda a, b: norm(a, b)[:, None], r"returned shape \(\d+, 1\); expected a tensor \(\d+,\)"),
    "a scalar": (lambda a, b: norm(a, b).mean(), r"returned shape \(\)"),
    "all pairs": (lambda a, b: torch.cdist(a, b), "returned shape"),
    "a distance a number": (lambda a, b: (a - b).abs(), "returned shape"),
    "bool": (lambda a, b: norm(a, b) > 1, "returned torch.bool"),
    "complex": (lambda a, b: norm(a, b) * 1j, "returned torch.complex128"),
    "NumPy": (lambda a, b: norm(a, b).numpy(), "returned ndarray"),
    "a list": (lambda a, b: norm(a, b).tolist(), "returned list"),
    "nothing": (lambda a, b: None, "returned NoneType"),
    "another device": (lambda a, b: norm(a, b).to("meta"), "distances on meta"),
    "minus a distance": (lambda a, b: -norm(a, b), r"d\(a, b\) = -.*; expected at least 0"),
    "cosine similarity": (cosine, "not a distance"),
    "a kernel": (lambda a, b: torch.exp(-norm(a, b)), r"d\(a, a\) = 1; expected 0"),
    "a product": (lambda a, b: (a * b).sum(dim=1), "not a distance"),
    "a constant added": (lambda a, b: norm(a, b) + 0.5, r"d\(a, a\) = 0\.5; expected 0"),
    "signed": (lambda a, b: (a - b).sum(dim=1), r"expected at least 0"),
    "Kullback-Leibler": (kl, r"d\(a, b\) and d\(b, a\) differ"),
    "weighted by one end": (lambda a, b: norm(a, b) * (1 + a.double().abs().sum(dim=1)), "differ"),
    "always the first": (lambda a, b: norm(a, b[:1].expand_as(a)), "not a distance"),
    "NaN": (lambda a, b: norm(a, b) / 0 * 0, r"gives NaN for finite outputs"),
    "chance": (lambda a, b: norm(a, b) * torch.rand(len(a)), "not a distance"),
}


@pytest.mark.parametrize("certifier", [CenterSmoothing, CenterSmoothingHD])
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_no_distance_is_refused_in_one_line(wrong, certifier):
    distance, message = WRONG[wrong]
    metric = own(distance)
    for _ in range(2):  # and again: nothing is taken for tried that failed
        with pytest.raises(SettingError, match=f"metric: Own\\(\\).*{message}") as error:
            certified(metric, certifier)
        assert "\n" not in str(error.value)


def test_the_finite_noise_asks_as_well():
    noise = DeterministicSplitting(0.5, 4, (2,))
    for distance, message in WRONG.values():
        with pytest.raises(SettingError, match=message):
            ExactCenterSmoothing(lambda b: 9 * b**2 + 1, noise, own(distance)).certify(torch.tensor([0.25, 0.75]), 0.1)


@pytest.mark.parametrize(
    "distance",
    [
        pytest.param(norm, id="float64"),
        pytest.param(lambda a, b: norm(a, b).float(), id="float32"),
        pytest.param(lambda a, b: (a - b).norm(dim=1), id="in float32"),
    ],
)
def test_a_distance_is_a_distance_in_any_precision(distance):
    expected = certified(type("Plain", (Metric,), {"_distance": L2._distance})())
    found = certified(own(distance))
    assert found.eps_out == pytest.approx(expected.eps_out, rel=1e-5)
    assert expected.eps_out > 1


def test_a_loop_over_pairs_is_a_distance():
    loop = own(lambda a, b: torch.stack([norm(s[None], b[i % len(b)][None])[0] for i, s in enumerate(a)]))
    outputs = torch.randn(9, 3)
    assert torch.allclose(loop.pairwise(outputs, outputs[:4]), L2().pairwise(outputs, outputs[:4]))


def test_whole_numbers_are_distances():
    def steps(a, b):
        return (a.round() - b.round()).abs().sum(dim=1).long()

    c = certified(own(steps))
    assert c.status == "certified"
    assert c.distance_quantile == round(c.distance_quantile) > 0


@pytest.mark.parametrize(("power", "gamma"), [(2, 1.0), (3, 2.0)])
def test_a_gamma_that_outputs_do_not_obey_is_refused(power, gamma):
    line = torch.arange(6.0)[:, None]
    too_small = own(lambda a, b: norm(a, b) ** power, gamma=gamma)
    with pytest.raises(SettingError, match=rf"d\(a, c\) is more than {gamma:g} \(d\(a, b\) \+ d\(b, c\)\)"):
        too_small.pairwise(line, line)
    own(lambda a, b: norm(a, b) ** power, gamma=2.0 ** (power - 1)).pairwise(line, line)


@pytest.mark.parametrize("gamma", [1, 2])
def test_a_squared_distance_of_outputs_that_are_equally_far_apart_is_a_warning(gamma):
    """Random outputs of many numbers are: no three of them show that gamma is too small. Means of two do."""

    squared = own(lambda a, b: norm(a, b) ** 2, gamma=gamma)
    outputs = torch.randn(6, 1000, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        squared.pairwise(outputs, outputs)
    said = [str(each.message) for each in caught if issubclass(each.category, SmoothingWarning)]
    assert [text.partition(" for two outputs")[0] for text in said] == [
        "metric: Own(): d(a, c) is more than 1 (d(a, b) + d(b, c))"
    ] * (gamma == 1)


def dice(a, b):
    """1 - Dice of masks."""
    return 1 - 2 * (a * b).flatten(1).sum(dim=1) / (a.flatten(1).sum(dim=1) + b.flatten(1).sum(dim=1))


def share(a, b):
    return (a != b).double().flatten(1).mean(dim=1)


@pytest.mark.parametrize(
    ("metric", "warned"),
    [(own(dice), True), (own(dice, gamma=1.5), False), (own(share), False), (MaskJaccard(), False), (L2(), False)],
    ids=["Dice", "Dice, gamma = 1.5", "share", "Jaccard", "l2"],
)
def test_dice_needs_a_larger_gamma_though_the_masks_of_one_input_do_not_show_it(metric, warned):
    mask = (torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.4).double()
    masks = torch.stack([mask.where(torch.arange(64).view(1, 8, 8) != k, 1 - mask) for k in range(5)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        metric.pairwise(masks, masks)
    said = [str(each.message) for each in caught if issubclass(each.category, SmoothingWarning)]
    assert ["such as 1.5 for 1 - Dice" in text for text in said] == [True] * warned


def test_means_that_are_no_outputs_are_left_out():
    """They are no points of a finite space, and not of whole numbers."""
    points = torch.tensor([[0.0], [1.0], [2.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FiniteSpace([[0, 1, 2], [1, 0, 1], [2, 1, 0]]).pairwise(points, points)
        TotalVariation().pairwise(torch.randint(9, (3, 1, 2, 2)), torch.randint(9, (3, 1, 2, 2)))


def test_an_override_that_disagrees_is_refused():
    class Twice(L2):
        def _all_distances(self, a, b):
            return 2 * super()._all_distances(a, b)

    class Tenfold(L2):
        def __call__(self, a, b):
            return 10 * super().__call__(a, b)

    class Half(L2):
        def pairwise(self, a, b):
            return super().pairwise(a, b) / 2

    class Squeezed(L2):
        def pairwise(self, a, b):
            return super().pairwise(a, b).squeeze()

    for metric in (Twice(), Tenfold(), Half()):
        with pytest.raises(SettingError, match="row by row and pairwise they differ"):
            certified(metric)
    with pytest.raises(SettingError, match="returned shape"):
        certified(Squeezed())


def test_distances_are_checked_in_every_call():
    """A metric that is right on the first outputs."""
    calls = []

    def later(a, b):
        calls.append(len(a))
        return norm(a, b) if len(calls) <= 40 else norm(a, b)[:1]

    metric = own(later)
    for _ in range(20):
        metric(torch.rand(9, 2), torch.rand(1, 2))
    calls += [9] * 40
    with pytest.raises(SettingError, match="returned shape"):
        metric(torch.rand(9, 2), torch.rand(1, 2))


def test_what_is_below_zero_later_on_is_outside_every_ball():
    metric = own(lambda a, b: torch.where(a[:, 0] > 8, -1.0, norm(a, b)))
    outputs = torch.arange(10.0)[:, None]
    assert metric(outputs, outputs[:1])[9] == torch.inf
    assert metric(outputs, outputs[:1])[8] == 8
    rounded = own(lambda a, b: 1 - cosine(a, b) - 1e-16, gamma=2.0)
    assert rounded(outputs + 1, outputs + 1).tolist() == pytest.approx([0.0] * 10, abs=1e-15)
    assert (rounded(outputs + 1, outputs + 1) >= 0).all()


def test_what_is_below_zero_by_rounding_only_is_to_be_clamped():
    nearly_equal = torch.ones(5, 64) + 2e-3 * torch.rand(5, 64, generator=torch.Generator().manual_seed(0))
    rounded = own(lambda a, b: 1 - torch.cosine_similarity(a, b) - 5e-6, gamma=2.0)
    with pytest.raises(SettingError, match=r"d\(a, b\) = -.*e-06; expected at least 0, add \.clamp\(min=0\)"):
        rounded.pairwise(nearly_equal, nearly_equal)


def test_some_distances_of_nan_are_infinite():
    some = own(lambda a, b: torch.where((a[:, 0] == 0) != (b[:, 0] == 0), torch.nan, norm(a, b)))
    assert some.pairwise(torch.arange(3.0)[:, None], torch.zeros(1, 1)).flatten().tolist() == [0, torch.inf, torch.inf]


@pytest.mark.parametrize("largest", [None, "1", torch.nan, 0, -1.0])
def test_a_largest_distance_that_is_none_is_refused(largest):
    noise, asked = DeterministicSplitting(0.5, 4, (2,)), []
    for certifier in (
        lambda metric: certified(metric),
        lambda metric: certified(metric, CenterSmoothingHD),
        lambda metric: BalancedCenterSmoothing(asked.append, Gaussian(0.5), metric, n=1000, m=1000, q=0.5, rho=1.0),
        lambda metric: ExactCenterSmoothing(asked.append, noise, metric),
    ):
        with pytest.raises(
            SettingError, match=rf"metric: Own\(\)\.largest: expected a number above 0, .* {largest!r}$"
        ):
            certifier(own(norm, largest=largest))
    with pytest.raises(SettingError, match=r"metric: Own\(\)\.largest_distance: expected a number above 0"):
        own(norm, largest_distance=lambda self, shape: largest)(torch.rand(9, 2), torch.rand(1, 2))


def test_a_pseudometric_and_equal_outputs_are_no_mistakes():
    same = torch.ones(9, 4)
    for metric in (L2(), Angular(), own(lambda a, b: 1 - torch.cosine_similarity(a, b), gamma=2.0)):
        assert metric(same, same[:1]).max() < 1e-6
    own(lambda a, b: (a[:, 0] - b[:, 0]).abs()).pairwise(torch.rand(9, 4), torch.rand(9, 4))
    own(lambda a, b: torch.zeros(len(a))).pairwise(torch.rand(9, 4), torch.rand(9, 4))


def test_lpips_passes_its_own_check_on_nearly_equal_images():
    metric, image = LPIPS("random"), torch.rand(1, 3, 16, 16)
    for spread in (0.0, 1e-6, 1.0):
        metric.pairwise(image + spread * torch.rand(3, 3, 16, 16), image)
        vars(metric).pop("_tried")


def test_first_outputs_that_are_not_finite_are_left_for_later():
    metric = own(lambda a, b: -norm(a, b))
    assert (metric(torch.full((9, 2), torch.nan), torch.zeros(1, 2)) == torch.inf).all()
    with pytest.raises(SettingError, match="at least 0"):
        metric(torch.rand(9, 2), torch.zeros(1, 2))


@pytest.mark.parametrize("easy", [[[0.0]] * 50, [[0.0], [1.0]] * 25])
def test_equal_outputs_do_not_use_up_the_check(easy):
    table = torch.tensor([[0.0, 1, 50], [1, 0, 1], [50, 1, 0]])

    class Table(Metric):  # gamma should be 25
        def _distance(self, a, b):
            a, b = torch.broadcast_tensors(a, b)
            return table[a[:, 0].long(), b[:, 0].long()].double()

    metric = Table()
    for _ in range(10):
        metric.pairwise(torch.tensor(easy), torch.tensor(easy))
        metric(torch.tensor(easy), torch.tensor(easy[:1]))
    with pytest.raises(SettingError, match="is not a distance"):
        metric(torch.tensor([[1.0], [2.0], [0.0]]), torch.tensor([[0.0]]))


def by_largest(a, b):
    """Distances between 0 and 1, as a careless user makes them."""
    return norm(a, b) / norm(a, b).max().clamp(min=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_a_distance_that_depends_on_the_others_is_refused(seed):
    outputs = torch.rand(5, 2, generator=torch.Generator().manual_seed(seed))
    farthest = int((outputs[:, None] - outputs).norm(dim=2).argmax()) // 5
    outputs[[0, farthest]] = outputs[[farthest, 0]]  # row by row and pairwise, the largest distance is the same
    with pytest.raises(SettingError, match="alone and among others they differ by"):
        own(by_largest)(outputs, outputs[:1])


class ByLargestSoFar(Metric):
    largest_so_far = 0.0

    def _distance(self, a, b):
        found = norm(a, b)
        self.largest_so_far = max(self.largest_so_far, float(found.max()))
        return found / self.largest_so_far


@pytest.mark.parametrize("certifier", [CenterSmoothing, CenterSmoothingHD])
def test_a_distance_that_depends_on_earlier_calls_is_refused(certifier):
    metric = ByLargestSoFar()
    for _ in range(2):
        with pytest.raises(SettingError, match="distances of the same outputs have changed by"):
            certified(metric, certifier)


def test_a_metric_that_is_changed_later_is_refused():
    metric = own(lambda a, b: weight * norm(a, b))
    weight, outputs = torch.ones(1), torch.rand(9, 2)
    for _ in range(15):
        metric(outputs, outputs[:1])
    weight *= 2
    with pytest.raises(SettingError, match="have changed by"):  # call 16
        metric(outputs, outputs[:1])


def test_calls_at_a_lower_precision_are_not_taken_for_a_change():
    """The check computes distances as certificates do."""
    square = torch.randn(3, 3, generator=torch.Generator().manual_seed(2))
    metric, outputs = own(lambda a, b: norm(a @ square, b @ square)), torch.rand(20, 3)
    for _ in range(5):
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            metric(outputs, outputs[:1])
    for _ in range(9):
        metric(outputs, outputs[:1])
    assert certified(metric).status == "certified"
