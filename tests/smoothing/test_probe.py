"""A base function is refused if its outputs depend on the batch, on chance or on earlier calls, at any scale."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from smoothing import L2, BaseFunctionError, CenterSmoothing, Certify, Gaussian, SmoothedClassifier
from smoothing.agreement import alike
from smoothing.base_function import FrozenFunction

X = torch.rand(6, generator=torch.Generator().manual_seed(2))


def certify(f, n=600, times=1):
    h = CenterSmoothing(f, Gaussian(0.5), L2(), n=n, m=n, delta=0.2, batch_size=64)
    return [h.certify(X, 0.1) for _ in range(times)][-1]


class Drifting(nn.Module):
    """Updates its statistics in eval mode too."""

    def __init__(self, momentum):
        super().__init__()
        self.register_buffer("mean", torch.zeros(6))
        self.momentum = momentum

    def forward(self, x):
        self.mean.lerp_(x.mean(dim=0), self.momentum)
        return x - self.mean


class Counting:
    """Becomes another function after some calls."""

    def __init__(self, calls):
        self.left = calls

    def __call__(self, batch):
        self.left -= 1
        return batch if self.left > 0 else 2 * batch


class Alternating:
    def __init__(self):
        self.sign = 1

    def __call__(self, batch):
        self.sign = -self.sign
        return 100 + self.sign * batch


class Remembering:
    def __init__(self):
        self.last = torch.zeros(6)

    def __call__(self, batch):
        outputs, self.last = batch + self.last, batch[-1].clone()
        return outputs


REFUSED = {
    "an offset of 100": lambda b: 100 + (b - b.mean(dim=0)),
    "an offset of 10000": lambda b: 10_000 + (b - b.mean(dim=0)),
    "from the first row": lambda b: 100 + (b - b[:1]),
    "from the last row": lambda b: 100 + (b - b[-1:]),
    "from the row before": lambda b: 100 + (b - b.roll(1, 0)),
    "from two rows before": lambda b: 100 + (b - b.roll(2, 0)),
    "from four rows on": lambda b: 100 + (b - b.roll(-4, 0)),
    "divided by the rows": lambda b: b / len(b),
    "divided, with an offset": lambda b: 100 + b / len(b),
    "dropout": lambda b: 100 + functional.dropout(b, 0.1),
    "noise": lambda b: 100 + b + 0.1 * torch.randn_like(b),
    "noise alike in all rows": lambda b: 100 + b + torch.randn(1),
    "batch norm": lambda b: 100 + functional.batch_norm(b, None, None, training=True),
    "largest of the batch": lambda b: 100 + b / b.abs().max(),
    "sorted over the batch": lambda b: b.sort(dim=0).values,
    "attention over the batch": lambda b: 50 + (b @ b.T).softmax(dim=1) @ b,
    "an average that follows": Drifting(0.05),
    "one that follows slowly": Drifting(0.01),
    "the batch before": Remembering(),
    "every other call": Alternating(),
    "the 12th call": Counting(12),
    "the 25th call": Counting(25),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_one_function_of_its_input_is_refused(name):
    with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
        certify(REFUSED[name])


def test_a_change_late_in_a_long_run_is_found_before_a_result_is_given_out():
    f = Counting(300)
    c = Certify(lambda b: torch.stack([f(b).sum(1), -b.sum(1)], dim=1), Gaussian(0.5), n=1000, batch_size=64)
    given = 0
    results = c.engine.run_all(c.procedure(X, i, 0) for i in range(100))

    def one_after_another():
        nonlocal given
        for _ in results:
            given += 1
            assert f.left > 0

    with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
        one_after_another()
    assert given > 10


@pytest.mark.parametrize(
    "f",
    [
        lambda b: b * 0,
        lambda b: b * 0 + 7,
        lambda b: b.round(),
        lambda b: 1e6 * b,
        lambda b: 1e-6 * b,
        lambda b: 100 + b,
        lambda b: 1e5 + b,
        lambda b: b / 0,
        lambda b: torch.where(b > 0, b, torch.nan),
        lambda b: torch.where(b > 0.3, b, torch.inf),
        lambda b: (b > 0.5).float(),
        lambda b: (b.double() * 1e9).long(),
    ],
)
def test_what_is_one_is_not(f):
    certify(f)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_is_one_at_any_batch_size_and_precision(batch_size, precision):
    f = nn.Sequential(nn.Linear(6, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 3))
    Certify(f, Gaussian(1e-3), n=200, batch_size=batch_size, precision=precision)(X, 0, 0)


def test_looks_are_few():
    rows = []
    h = CenterSmoothing(
        lambda b: rows.append(len(b)) or b, Gaussian(0.5), L2(), n=5000, m=20_000, delta=0.2, batch_size=64
    )
    h.certify(X, 0.1)
    assert sum(rows) < 1.01 * 30_000


def rows(*values):
    return torch.tensor(values).reshape(-1, 1)


def test_alike_is_relative_to_how_far_outputs_lie_apart():
    outputs = rows(100.0, 101.0)
    assert alike(outputs + 0.009, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-7)
    assert not alike(outputs + 0.02, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-7)
    assert alike(outputs + 0.02, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-3)
    assert not alike(outputs + 2, outputs, outputs, largest=0.01, spread=0.01, rounding=1)
    assert alike(rows(0.0, 5.0), rows(0.0, 1.0), outputs, largest=0.01, spread=0.01, rounding=0)  # half of the rows
    assert not alike(rows(0.0, 5.0, 5.0), rows(0.0, 1.0, 1.0), outputs, largest=0.01, spread=0.01, rounding=0)
    nan, inf = torch.nan, torch.inf
    odd = rows(nan, inf, -inf, 1.0)
    assert alike(odd, odd, odd, largest=0.01, spread=0.01, rounding=0)
    assert not alike(odd, -odd, odd, largest=0.01, spread=0.01, rounding=0)


def test_half_of_the_spread_or_of_the_numbers_would_be_too_much():
    for share in (0.3, 0.1):
        with pytest.raises(BaseFunctionError, match="depend on the batch"):
            certify(lambda b, share=share: 100 + b - share * b.mean(dim=0))
    rough = CenterSmoothing(
        lambda b: (100 + b) * (1 + 0.05 * len(b) / 64),
        Gaussian(0.5),
        L2(),
        n=600,
        m=600,
        delta=0.2,
        precision="bfloat16",
    )
    with pytest.raises(BaseFunctionError, match="depend on the batch"):
        rough.certify(X, 0.1)


def test_the_last_digit_is_that_of_the_precision():
    f = FrozenFunction(lambda b: b)
    assert f.unit(torch.float32) == torch.finfo(torch.float32).eps
    assert FrozenFunction(lambda b: b, "bfloat16").unit(torch.float32) == 2**-10


def test_a_call_in_between_does_not_hide_a_change():
    w = torch.tensor(1.0)
    g = SmoothedClassifier(lambda x: torch.cat([-w * x, w * x], 1), Gaussian(0.5), batch_size=64)

    def certify_and_predict():
        for k, _ in g.certify_all(torch.ones(12, 1), n=1000, first=0):
            w.fill_(-1.0 if k >= 2 else 1.0)
            g.predict(torch.ones(1), n=100)

    with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
        certify_and_predict()


def test_what_was_refused_is_checked_as_thoroughly_when_it_is_tried_again():
    """Outputs of a few rows change by chance, which only the many checks of a first run show."""
    weights = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    mended = []
    g = SmoothedClassifier(lambda x: functional.dropout(x @ weights, 0.01, training=not mended), Gaussian(0.5))
    for _ in range(10):
        with pytest.raises(BaseFunctionError, match="depend on the batch or on chance"):
            g.certify(X, n=3000)
    mended.append(True)
    assert g.certify(X, n=3000).n == 3000
