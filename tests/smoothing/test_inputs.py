"""Inputs: anything that is unambiguously one input gives the tensor's certificate, and all else a clear line."""

import copy
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from smoothing import (
    L2,
    BaseFunctionError,
    CenterSmoothing,
    Certify,
    DeterministicSplitting,
    ExactCenterSmoothing,
    Gaussian,
    SettingError,
    SmoothedClassifier,
    SmoothingWarning,
    Uniform,
)
from smoothing.inputs import as_tensor, inputs_of, pixels_warning

NOISE = Gaussian(0.5)
X = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, k):
        if k >= 3:
            raise IndexError(k)
        return X + k / 10, k


SAME = {
    "requires_grad": X.clone().requires_grad_(),
    "parameter": nn.Parameter(X.clone()),
    "result of a computation": nn.Parameter(X.clone()) * 1,
    "numpy": X.numpy(),
    "read-only numpy": np.frombuffer(X.numpy().tobytes(), dtype=np.float32).reshape(1, 4, 4),
    "numpy, float64": X.numpy().astype(np.float64),
    "numpy, backwards": X.numpy()[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
    "numpy, other byte order": X.numpy().astype(">f4"),
    "float64": X.double(),
    "list": X.tolist(),
    "a batch of one": X[None],
    "a NumPy batch of one": X[None].numpy(),
    "pair": (X, 3),
    "pair with a tensor": (X, torch.tensor(3)),
    "batch of one of a loader": [X[None], torch.tensor([3])],
    "data set": Pairs()[0],
    "not contiguous": X.transpose(1, 2).contiguous().transpose(1, 2),
}


@pytest.mark.long
@pytest.mark.parametrize("given", SAME)
def test_what_is_one_input_without_doubt_is_taken(given):
    expected = SmoothedClassifier(network(), NOISE).certify(X, n=500)
    assert SmoothedClassifier(network(), NOISE).certify(SAME[given], n=500) == expected
    assert SmoothedClassifier(network(), NOISE).predict(SAME[given], n=100).n_a > 0
    assert Certify(network(), NOISE, n=500)(SAME[given], 0, 1) == expected
    h = [CenterSmoothing(network(), NOISE, L2(), n=400, m=200, delta=0.2) for _ in range(2)]
    assert h[0].certify(SAME[given], 0.1).eps_out == h[1].certify(X, 0.1).eps_out


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_taken_as_the_same_numbers(dtype):
    x = X.to(dtype)
    expected = SmoothedClassifier(network(), NOISE).certify(x.float(), n=500)
    assert SmoothedClassifier(network(), NOISE).certify(x, n=500) == expected
    seen = []
    f = lambda b: seen.append(b.dtype) or torch.stack([b.sum((1, 2, 3)), b[:, 0, 0, 0]], 1)  # noqa: E731
    SmoothedClassifier(f, NOISE).certify(x, n=200)
    assert set(seen) == {torch.float32}  # or the noise would be rounded to 8 or 11 bits


def test_a_network_in_double_precision_gets_such_inputs():
    wanted = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double()
    assert SmoothedClassifier(wanted, NOISE).input(X).dtype == torch.float64
    assert torch.equal(SmoothedClassifier(wanted, NOISE).input(X), X.double())


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randint(0, 256, (1, 4, 4), dtype=torch.uint8), r"torch.uint8; divide bytes by 255"),
        (np.zeros((1, 4, 4), dtype=np.uint8), r"torch.uint8; divide bytes by 255"),
        (torch.zeros(1, 4, 4, dtype=torch.int64), r"torch.int64; use x.float\(\)"),
        ([[1, 2], [3, 4]], r"torch.int64"),
        (torch.zeros(1, 4, 4, dtype=torch.bool), r"torch.bool"),
        (torch.zeros(1, 4, 4, dtype=torch.complex64), r"torch.complex64"),
        (Image.new("RGB", (4, 4)), r"a PIL image; use torchvision.transforms.functional.to_tensor"),
        ((Image.new("RGB", (4, 4)), 3), r"a PIL image"),
        (torch.full((1, 4, 4), float("nan")), r"NaN or infinite"),
        (np.array([[[1.0, np.inf]]]), r"NaN or infinite"),
        (torch.zeros(0), r"at least one number"),
        (torch.zeros(1, 4, 4).to_sparse(), r"dense tensor"),
        (torch.zeros(1, 4, 4, device="meta"), r"on meta"),
        (np.zeros((1, 4, 4), dtype=np.longdouble), r"got ndarray"),
        (np.array(["a"]), r"got ndarray"),
        ([[0.1, 0.2], [0.3]], r"a list that is not an array"),
        ([X, X], r"got list"),
        ((X, X), r"got tuple"),
        ({"image": X}, r"got dict"),
        ("x.png", r"got str"),
        (0.5, r"got float"),
        (None, r"got NoneType"),
        (Pairs(), r"got Pairs; for many inputs use certify_all"),
        (torch.utils.data.DataLoader(Pairs()), r"got DataLoader; for many inputs use certify_all"),
    ],
)
def test_what_is_not_is_refused_in_one_line(x, message):
    calls = []
    f = lambda b: calls.append(0) or torch.zeros(len(b), 2)  # noqa: E731
    noise = DeterministicSplitting(0.5, 5, (1, 4, 4))
    for use in (
        lambda: SmoothedClassifier(f, NOISE).certify(x),
        lambda: SmoothedClassifier(f, NOISE).predict(x),
        lambda: SmoothedClassifier(f, noise).certify_exactly(x),
        lambda: CenterSmoothing(f, NOISE, L2(), n=400, m=200, delta=0.2).certify(x, 0.1),
        lambda: CenterSmoothing(f, NOISE, L2(), n=400, m=200, delta=0.2).smooth(x),
        lambda: ExactCenterSmoothing(f, noise, L2()).certify(x, 0.2),
    ):
        with pytest.raises(SettingError, match=message) as error:
            use()
        assert "\n" not in str(error.value)
    assert not calls


def test_an_axis_of_one_is_no_batch_where_the_network_takes_it():
    seen = []

    def volumes(b):
        seen.append(tuple(b.shape[1:]))
        return nn.functional.conv3d(b, torch.ones(2, 1, 3, 3, 3)).flatten(1)

    x = torch.rand(1, 3, 4, 4)
    CenterSmoothing(volumes, NOISE, L2(), n=400, m=200, delta=0.2).certify(x, 0.1)
    assert set(seen) == {(1, 3, 4, 4)}


@pytest.mark.parametrize("x", [X.expand(2, 1, 4, 4), torch.rand(1, 1, 1, 4, 4), torch.rand(1, 7), torch.rand(4, 4)])
def test_what_the_network_does_not_take_is_still_its_error(x):
    with pytest.raises(Exception, match=r"."):
        SmoothedClassifier(network(), NOISE).certify(x, n=100)


def test_a_row_of_features_in_a_batch_of_one_is_one_input():
    torch.manual_seed(0)
    f, x = nn.Linear(4, 3), torch.rand(4)
    found = SmoothedClassifier(f, NOISE).certify(x[None], n=200)
    assert found == SmoothedClassifier(copy.deepcopy(f), NOISE).certify(x, n=200)


def test_x_is_left_as_it_was():
    x = X.clone().requires_grad_()
    SmoothedClassifier(network(), NOISE).certify(x, n=100)
    assert x.requires_grad
    assert torch.equal(x.detach(), X)


@pytest.mark.gpu
def test_x_goes_where_the_network_is():
    found = SmoothedClassifier(network().cuda(), NOISE).certify(X, n=500)
    assert found == SmoothedClassifier(network().cuda(), NOISE).certify(X.cuda(), n=500)


PIXELS = {
    "random": (torch.rand(3, 8, 8) * 255, NOISE),
    "a photograph": (torch.randint(0, 256, (3, 8, 8)).float(), Gaussian(1.0)),
    "without channels": (torch.rand(8, 8) * 255, NOISE),
    "flat": (torch.randint(0, 256, (64,)).float(), NOISE),
    "scikit-learn's digits": (
        torch.randint(0, 17, (64,)).float().clamp(max=16).index_fill(0, torch.tensor(0), 16),
        NOISE,
    ),
    "16 bits": (torch.rand(1, 8, 8) * 65535, NOISE),
    "l1": (torch.rand(3, 8, 8) * 255, Uniform(0.5)),
}
OTHERS = {
    "pixels in [0, 1]": (torch.rand(3, 8, 8), NOISE),
    "noise for 0..255": (torch.rand(3, 8, 8) * 255, Gaussian(0.25 * 255)),
    "standardised": (torch.randn(3, 8, 8) * 3, Gaussian(0.01)),
    "latent": (torch.randn(512) * 100, NOISE),
    "one-hot": (torch.eye(8), NOISE),
    "depth in metres": (torch.rand(1, 8, 8) * 80, Gaussian(0.1)),
    "measurements": (torch.rand(64) * 1000, NOISE),
    "a few counts": (torch.tensor([3.0, 40.0, 100.0]), NOISE),
}


@pytest.mark.parametrize("given", PIXELS)
def test_pixels_that_nobody_divided_are_warned_of_once(given):
    x, noise = PIXELS[given]
    g = SmoothedClassifier(lambda b: torch.stack([b.flatten(1).sum(1), b.flatten(1)[:, 0]], 1), noise)
    with pytest.warns(SmoothingWarning, match="divide x by") as found:
        g.certify(x, n=100)
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g.certify(x, n=100)


@pytest.mark.parametrize("given", OTHERS)
def test_other_numbers_are_not(given):
    assert pixels_warning(*OTHERS[given]) == ""


def test_the_warning_does_not_stop_a_certificate():
    with warnings.catch_warnings(record=True):
        c = CenterSmoothing(nn.Flatten(), NOISE, L2(), n=400, m=200, delta=0.2).certify(torch.rand(3, 8, 8) * 255, 0.1)
    assert c.status == "certified"


@pytest.mark.parametrize(
    "examples",
    [
        torch.stack([X, X + 0.1, X + 0.2]),
        np.stack([X, X + 0.1, X + 0.2]),
        [X, X + 0.1, X + 0.2],
        [(X, 0), (X + 0.1, 1), (X + 0.2, 2)],
        (x for x in (X, X + 0.1, X + 0.2)),
        Pairs(),
        torch.utils.data.DataLoader(Pairs(), batch_size=2),
        torch.utils.data.DataLoader(Pairs(), batch_size=None),
        torch.utils.data.TensorDataset(torch.stack([X, X + 0.1, X + 0.2])),
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.stack([X, X + 0.1, X + 0.2]))),
    ],
)
def test_inputs_are_found_among_examples(examples):
    found = [as_tensor(x) for x in inputs_of(examples)]
    assert torch.allclose(torch.stack(found), torch.stack([X, X + 0.1, X + 0.2]))


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_batch_with_its_labels_is_no_list_of_two_inputs(kind):
    pair = kind((torch.zeros(5, 1, 4, 4), torch.arange(5)))
    with pytest.raises(SettingError, match=r"got inputs \(5, 1, 4, 4\) and labels \(5,\); leave out the labels"):
        inputs_of(pair)
    assert len(list(inputs_of(kind((torch.zeros(4), torch.zeros(4)))))) == 2


def test_a_loader_that_shuffles_gives_a_warning():
    with pytest.warns(SmoothingWarning, match=r"the results are in the order that it gives"):
        assert len(list(inputs_of(torch.utils.data.DataLoader(Pairs(), shuffle=True)))) == 3


@pytest.mark.parametrize(
    "sampler",
    [torch.utils.data.SubsetRandomSampler(range(3)), torch.utils.data.WeightedRandomSampler([1, 1, 1], 3)],
    ids=lambda sampler: type(sampler).__name__,
)
def test_a_loader_that_draws_at_random_gives_a_warning(sampler):
    for given in ({"sampler": sampler}, {"batch_sampler": torch.utils.data.BatchSampler(sampler, 2, False)}):
        with pytest.warns(SmoothingWarning, match=r"the results are in the order that it gives"):
            assert len(list(inputs_of(torch.utils.data.DataLoader(Pairs(), **given)))) == 3


@pytest.mark.parametrize(
    ("example", "got"),
    [
        ({"image": X, "label": 3}, r"a dict of \['image', 'label'\]; pass .*, such as \[example\['image'\] for"),
        ((X, 3, 0.5), r"parts \(Tensor, int, float\); .* \[example\[0\] for example in examples\]"),
        ([X, X, X], r"parts \(Tensor, Tensor, Tensor\)"),
        (("x.png", 3), r"parts \(str, int\)"),
    ],
)
def test_examples_of_other_parts_are_refused_in_one_line(example, got):
    g = SmoothedClassifier(lambda b: b.flatten(1)[:, :2], NOISE)
    with pytest.raises(SettingError, match=f"examples: expected each to be an input or a pair .*, got {got}") as error:
        list(g.certify_all([example], n=500))
    assert "\n" not in str(error.value)


def test_a_single_number_is_an_input():
    f = lambda b: torch.stack([b, -b], 1)  # noqa: E731
    assert SmoothedClassifier(f, NOISE).certify(torch.tensor(0.5), n=500).prediction == 0
    noise = DeterministicSplitting(0.5, 2, ())
    assert SmoothedClassifier(f, noise).certify_exactly(torch.tensor(0.5)).prediction == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("layer", [nn.Linear(4, 2), nn.Conv2d(1, 2, 4), nn.LayerNorm(4)], ids=str)
def test_a_network_in_half_precision_says_what_to_pass(layer, dtype):
    g = SmoothedClassifier(nn.Sequential(copy.deepcopy(layer), nn.Flatten()).to(dtype), NOISE)
    with pytest.raises(
        BaseFunctionError, match=r"base function: .*; pass x in the dtype of .*x\.half\(\), or use"
    ) as e:
        g.certify(X, n=500)
    assert "\n" not in str(e.value)
    assert g.certify(X.to(dtype), n=500).n == 500


@pytest.mark.parametrize("examples", [None, 3, "images", {"a": X}, torch.tensor(0.5)])
def test_what_has_no_examples_is_refused(examples):
    with pytest.raises(SettingError, match="examples: expected"):
        inputs_of(examples)


@pytest.mark.parametrize("kind", [torch.tensor, np.float32, np.array])
def test_a_list_of_numbers_is_one_input(kind):
    assert torch.allclose(as_tensor([kind(0.5), kind(0.25)]).double(), torch.tensor([0.5, 0.25], dtype=torch.float64))
