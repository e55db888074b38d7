"""The search for the fastest batch size, with simulated and with real times."""

import torch

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
    costs = {16: 16.0, 32: 20.0, 64: 30.0, 128: 59.0, 256: 118.0, 512: 236.0}
    monkeypatch.setattr("smoothing.batch_size._seconds", lambda f, x, size: costs[size])
    f = FrozenFunction(lambda batch: batch)
    assert fastest_batch_size(f, torch.zeros(2), float("inf")) == 64  # 128 is faster by less than it is worth
    assert fastest_batch_size(f, torch.zeros(2), 20) == 64  # not searched for


def test_the_search_measures_again_what_something_else_slowed_down(monkeypatch):
    costs = {16: 16.0, 32: 30.0, 64: 56.0, 128: 120.0, 256: 240.0}
    seen = []

    def seconds(f, x, size):
        seen.append(size)
        return costs[size] * (1.5 if size == 64 and seen.count(64) in (2, 4, 5) else 1)

    monkeypatch.setattr("smoothing.batch_size._seconds", seconds)
    assert fastest_batch_size(FrozenFunction(lambda batch: batch), torch.zeros(2), float("inf")) == 64
