"""A base function's outputs are checked: accepted if they are unambiguous, otherwise refused in one line."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from smoothing import L2, BaseFunctionError, CenterSmoothing, Gaussian, SmoothedClassifier
from smoothing.base_function import FrozenFunction

X = torch.rand(16, generator=torch.Generator().manual_seed(5))
W = torch.randn(16, 3, generator=torch.Generator().manual_seed(6))


def certified(f):
    return CenterSmoothing(f, Gaussian(0.25), L2(), n=1000, m=1000, delta=0.15).certify(X, 0.1)


REFUSED = {
    "complex": (lambda b: torch.complex(b[:, :1] * 0, (b @ W)[:, :1]), r"complex numbers.*torch\.view_as_real"),
    "no outputs": (lambda b: b[:, :0], r"got shape \(\d+, 0\), which has no numbers"),
    "one row": (lambda b: b[:1], r"expected a tensor of \d+ outputs, got shape \(1, 16\)"),
    "a number": (lambda b: b.sum(), r"got shape \(\)"),
    "square": (lambda b: b @ b.T, r"outputs of one shape"),
    "of the batch": (lambda b: b.sum(dim=0, keepdim=True), r"got shape \(1, 16\)"),
    "sparse": (lambda b: (b @ W).to_sparse(), r"layout torch.sparse_coo; return its \.to_dense"),
    "sparse rows": (lambda b: (b @ W).to_sparse_csr(), r"layout torch.sparse_csr"),
    "nested": (lambda b: torch.nested.nested_tensor(list(b @ W)), "nested tensor"),
    "quantized": (lambda b: torch.quantize_per_tensor(b @ W, 0.1, 0, torch.qint8), r"\.dequantize"),
    "another device": (lambda b: (b @ W).to("meta"), "one on meta for inputs on cpu"),
    "tuple": (lambda b: (b @ W, b), "got tuple of 2; wrap it"),
    "list": (lambda b: (b @ W).tolist(), r"got list of \d+; wrap it"),
    "dict": (lambda b: {"scores": b @ W, "loss": 1}, "got dict with scores, loss; wrap it"),
    "dict of logits": (lambda b: {"logits": b @ W}, r"got dict; wrap it .* its \.logits"),
    "model output": (lambda b: SimpleNamespace(logits=b @ W), r"got SimpleNamespace; wrap it .* its \.logits"),
    "None": (lambda b: None, "got None; return the outputs"),
    "numpy": (
        lambda b: (b @ W).numpy(),
        r"expected a tensor with one row for each of \d+ inputs, got ndarray; pass lambda x: torch\.from_numpy\(f\(",
    ),
    "string": (lambda b: "cat", "got str; wrap it"),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_outputs_that_are_no_outputs_are_refused(name):
    f, message = REFUSED[name]
    with pytest.raises(BaseFunctionError, match=message) as caught:
        certified(f)
    assert "\n" not in str(caught.value)
    with pytest.raises(BaseFunctionError):
        SmoothedClassifier(f, Gaussian(0.25)).certify(X, 10, 100)


@pytest.mark.parametrize(
    ("f", "same"),
    [
        (lambda b: (b @ W)[:, 0], lambda b: (b @ W)[:, :1]),
        (lambda b: (b @ W)[:, :1].squeeze(), lambda b: (b @ W)[:, :1]),
        (lambda b: b @ W > 0, lambda b: (b @ W > 0).float()),
        (lambda b: (b @ W).round().long(), lambda b: (b @ W).round().double()),
        (lambda b: (b @ W).round().to(torch.int8), lambda b: (b @ W).round().double()),
        (lambda b: (b @ W).half(), lambda b: (b @ W).half().float()),
        (lambda b: nn.Parameter(b @ W), lambda b: b @ W),
        (lambda b: (b @ W).T.contiguous().T, lambda b: b @ W),
        (lambda b: (b @ W)[:, :1].expand(-1, 3), lambda b: (b @ W)[:, :1].repeat(1, 3)),
    ],
    ids=["(b,)", "squeezed", "bool", "int64", "int8", "half", "parameter", "transposed", "expanded"],
)
def test_what_is_unambiguous_is_taken(f, same):
    found, expected = certified(f), certified(same)
    assert found.status == "certified"
    assert found.eps_out == pytest.approx(expected.eps_out, rel=1e-6)
    assert found.smoothing_error == pytest.approx(expected.smoothing_error, rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_outputs_have_memory_of_their_own_and_inputs_stay(precision):
    held = torch.empty(64, 16)

    def reused(batch):
        return torch.mul(batch, 2, out=held[: len(batch)])

    def in_place(batch):
        batch.mul_(2)
        return batch

    x = torch.rand(64, 16)
    kept = x.clone()
    for f in (FrozenFunction(reused, precision), FrozenFunction(in_place, precision), FrozenFunction(lambda b: b)):
        first = f(x)
        as_it_was = first.clone()
        f(x + 1)
        assert torch.equal(first, as_it_was)
        assert torch.equal(x, kept)


def test_an_f_in_reused_memory_or_in_place_gets_the_certificate_of_the_function_that_it_is():
    held = torch.empty(128, 3)

    def in_place(batch):
        batch.sub_(batch.mean(dim=1, keepdim=True)).div_(3)
        return batch

    def plain(batch):
        return (batch - batch.mean(dim=1, keepdim=True)) / 3

    x = X.clone()
    h = CenterSmoothing(in_place, Gaussian(0.25), L2(), n=300, m=300, delta=0.2)
    other = CenterSmoothing(plain, Gaussian(0.25), L2(), n=300, m=300, delta=0.2)
    for _ in range(2):
        assert h.certify(x, 0.1, example=0).eps_out == pytest.approx(other.certify(x, 0.1, example=0).eps_out, rel=1e-6)
    assert torch.equal(x, X)
    reused = certified(lambda b: torch.mm(b, W, out=held[: len(b)]))
    assert reused.eps_out == pytest.approx(certified(lambda b: b @ W).eps_out, rel=1e-6)
