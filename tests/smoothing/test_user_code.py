"""Errors in a user's model, metric or noise are reported in one line that says where."""

import re

import pytest
import torch
from torch import nn

from smoothing import (
    L2,
    Attack,
    BaseFunctionError,
    CenterSmoothing,
    Certify,
    Gaussian,
    SettingError,
    SmoothedClassifier,
)
from smoothing.base_function import FrozenFunction
from smoothing.batch_size import CANDIDATES, fastest_batch_size
from smoothing.engine import Engine
from smoothing.user_code import OURS, is_out_of_memory

X = torch.rand(6)


class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(3, 2))

    def forward(self, x):
        return self.layers(x)


class WrongMetric(L2):
    def _distance(self, a, b):
        raise KeyError("no such thing")


class NotFound(L2):
    def candidates(self, outputs):
        return outputs[[]].max()


class WrongNoise(Gaussian):
    def sample(self, x, count, source):
        raise ZeroDivisionError("division\nby zero")


def raises(error):
    def f(batch):
        raise error

    return f


def center(f=lambda b: b, noise=None, metric=None):
    return CenterSmoothing(f, noise or Gaussian(0.5), metric or L2(), n=300, m=300, delta=0.2)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: center(Wrong()).certify(X, 0.1), r"base function: RuntimeError: .*shapes .*\(.*:\d+, in forward\)"),
        (lambda: center(raises(ValueError("a\nb"))).certify(X, 0.1), r"base function: ValueError: a b \(.*, in f\)"),
        (lambda: center(raises(KeyError())).certify(X, 0.1), r"base function: KeyError: no message"),
        (lambda: center(raises(StopIteration("x"))).certify(X, 0.1), r"base function: StopIteration: x"),
        (lambda: center(nn.Linear(5, 2)).certify(X, 0.1), "base function: RuntimeError: .*shapes "),
        (
            lambda: center(metric=WrongMetric()).certify(X, 0.1),
            r"metric or certifier: KeyError: 'no such thing' \(.*in _distance\)",
        ),
        (
            lambda: center(metric=NotFound()).certify(X, 0.1),
            r"metric or certifier: (Runtime|Index)Error: .*in candidates\)",
        ),
        (
            lambda: center(noise=WrongNoise(0.5)).certify(X, 0.1),
            r"noise: ZeroDivisionError: division by zero .*sample",
        ),
        (lambda: Certify(Wrong(), Gaussian(0.5), n=1000)(X, 0, 0), r"base function: RuntimeError: .*in forward\)"),
        (
            lambda: Certify(Wrong(), Gaussian(0.5), batch_size=None)(X, 0, 0),
            r"base function: RuntimeError: .*forward",
        ),
    ],
)
def test_it_is_one_line_that_says_where(run, message):
    with pytest.raises(BaseFunctionError, match=message) as caught:
        run()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_the_place_is_the_users_line():
    with pytest.raises(BaseFunctionError) as caught:
        center(Wrong()).certify(X, 0.1)
    file, line = re.search(r"\((\S+):(\d+), in forward\)", str(caught.value)).groups()
    assert file == __file__
    with open(file) as lines:
        assert lines.readlines()[int(line) - 1].strip() == "return self.layers(x)"


def test_what_is_raised_on_purpose_stays_what_it_is():
    with pytest.raises(SettingError, match="mine"):
        center(raises(SettingError("mine"))).certify(X, 0.1)


def test_a_fault_of_ours_is_not_put_on_the_user():
    ours: dict = {}
    code = "def procedure():\n    raise TypeError('ours')\n    yield"
    exec(compile(code, f"{OURS}procedures.py", "exec"), ours)
    with pytest.raises(TypeError, match="ours"):
        Engine(FrozenFunction(lambda b: b), 64).run(ours["procedure"]())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    ],
)
def test_a_lack_of_memory_is_recognised_and_bounds_the_batch(error):
    def f(batch):
        if len(batch) > 64:
            raise error
        return batch

    with pytest.raises(BaseFunctionError) as caught:
        FrozenFunction(f)(torch.zeros(65, 2))
    assert is_out_of_memory(caught.value)
    assert fastest_batch_size(FrozenFunction(f), torch.zeros(2), float("inf")) <= 64
    with pytest.raises(BaseFunctionError):  # not even the smallest fits
        fastest_batch_size(FrozenFunction(raises(error)), torch.zeros(2), float("inf"))
    with pytest.raises(BaseFunctionError, match="other"):
        fastest_batch_size(FrozenFunction(raises(RuntimeError("other"))), torch.zeros(2), float("inf"))
    assert not is_out_of_memory(RuntimeError("other"))
    assert CANDIDATES[0] <= 64


class NoGradient(nn.Module):
    """Scores that a network gives in certification alone."""

    def forward(self, x):
        if x.requires_grad:
            raise ValueError("no gradient here")
        return torch.stack([x.sum(1), -x.sum(1)], dim=1)


def test_a_model_that_fails_under_attack_is_named():
    attack = Attack(NoGradient(), Gaussian(0.5), factors=[1.0], n0=10, n=100, steps=1, samples=10)
    with pytest.raises(BaseFunctionError, match=r"^base function: ValueError: no gradient here \(.*in forward\)"):
        attack(torch.ones(3), 0, 0)


@pytest.mark.parametrize("x", [torch.rand(8, 8), torch.rand(5, 1, 8, 8)])
@pytest.mark.parametrize(
    "f", [torch.nn.Conv2d(1, 2, 8), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 2))]
)
def test_an_error_about_shapes_names_those_of_the_input(x, f):
    g = SmoothedClassifier(f, Gaussian(0.5))
    with pytest.raises(BaseFunctionError, match=r"it was given \d+ inputs \(.*8, 8\); x is one input, and for many"):
        g.certify(x)


def test_an_error_about_the_shape_of_one_image_does_not_speak_of_many():
    g = SmoothedClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 2)), Gaussian(0.5))
    with pytest.raises(BaseFunctionError, match=r"it was given \d+ inputs \(1, 8, 8\)$"):
        g.certify(torch.rand(1, 8, 8))
