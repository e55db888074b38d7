"""The search for the fastest batch size, with simulated and with real times."""

import time

import pytest
import torch

from smoothing import BaseFunctionError
from smoothing.base_function import FrozenFunction
from smoothing.batch_size import CANDIDATES, fastest_batch_size
from smoothing.engine import Engine


def test_the_batch_size_is_searched_for_once():
    seen = []
    f = FrozenFunction(lambda batch: seen.append(len(batch)) or batch.flatten(1))
    engine = Engine(f, None)
    x = torch.zeros(1, 6, 6)
    assert engine.tune(x, 100_000) in CANDIDATES
    tried = len(seen)
    engine.tune(x)
    assert len(seen) == tried


def test_the_search_takes_the_fastest(monkeypatch):
    costs = {16: 0.016, 32: 0.020, 64: 0.030, 128: 0.059, 256: 0.118, 512: 0.236}
    monkeypatch.setattr("smoothing.batch_size._seconds", lambda f, x, size: costs[size])
    f = FrozenFunction(lambda batch: batch)
    assert fastest_batch_size(f, torch.zeros(2), float("inf")) == 64  # 128 is faster by less than it is worth
    few = [fastest_batch_size(f, torch.zeros(shape), 20) for shape in ((2,), (1, 8, 8), (1, 28, 28), (3, 32, 32))]
    assert few == [512, 512, 64, 64]  # not searched for


def test_the_search_measures_again_what_something_else_slowed_down(monkeypatch):
    costs = {16: 0.016, 32: 0.030, 64: 0.056, 128: 0.120, 256: 0.240}
    seen = []

    def seconds(f, x, size):
        seen.append(size)
        return costs[size] * (1.5 if size == 64 and seen.count(64) in (2, 4, 5) else 1)

    monkeypatch.setattr("smoothing.batch_size._seconds", seconds)
    assert fastest_batch_size(FrozenFunction(lambda batch: batch), torch.zeros(2), float("inf")) == 64


def test_the_first_call_of_a_size_may_take_long():
    """Libraries choose their algorithms then. It does not end the search."""
    seen = set()

    def f(batch):
        time.sleep(0.3 if len(batch) not in seen else 0.002)
        seen.add(len(batch))
        return batch

    assert fastest_batch_size(FrozenFunction(f), torch.zeros(2), float("inf")) == max(CANDIDATES)
    assert seen == set(CANDIDATES)


@pytest.mark.parametrize("message", ["CUDA out of memory", "CUDNN_STATUS_NOT_SUPPORTED", "index does not fit int32"])
def test_a_size_that_fails_ends_the_search(message):
    def f(batch):
        if len(batch) > 64:
            raise RuntimeError(message)
        time.sleep(0.002)
        return batch

    assert fastest_batch_size(FrozenFunction(f), torch.zeros(2), float("inf")) == 64


def test_a_size_that_fails_later_is_dropped():
    """Something else took memory for a while since the size was tried."""
    seen = []

    def f(batch):
        seen.append(len(batch))
        if len(batch) == 64 and seen.count(64) == 4:
            raise RuntimeError("CUDA out of memory")
        time.sleep(0.0002 if len(batch) == 64 else 0.002)
        return batch

    assert fastest_batch_size(FrozenFunction(f), torch.zeros(2), float("inf")) != 64
    assert max(seen) > 64


def test_a_function_that_always_fails_is_refused():
    with pytest.raises(BaseFunctionError, match="ZeroDivisionError"):
        fastest_batch_size(FrozenFunction(lambda batch: 1 / 0), torch.zeros(2), float("inf"))


def test_a_compiled_function_is_measured_before_it_is_compiled(monkeypatch):
    made = []
    monkeypatch.setattr(torch, "compile", lambda network, **_: made.append(network) or network)
    f = FrozenFunction(torch.nn.Flatten(), compiled=True)
    assert fastest_batch_size(f, torch.zeros(1, 2), float("inf")) in CANDIDATES
    assert not made
    f(torch.zeros(4, 1, 2))
    assert len(made) == 1
