"""The batch size at which a base function is fastest, measured."""

import time

import torch
from torch import Tensor

from smoothing.base_function import FrozenFunction

CANDIDATES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
UNTRIED = 64  # for so few rows that a search is not worth its time
FEW_ROWS = 10_000
WORTH = 1.05  # a larger batch must be this much faster, since it takes more memory
ROUNDS, SECONDS = 3, 3.0


def fastest_batch_size(f: FrozenFunction, x: Tensor, rows: float) -> int:
    """Rows of a batch at which f is fastest on x's device.

    Args:
        f: the base function.
        x: one input, (*shape).
        rows: how many there will be to evaluate. Fewer than 10,000 are not worth a search: 64.

    Sizes are tried from 16 on, doubling, the best of three runs each after one to warm up; the search ends where two
    sizes in a row bring nothing, after three seconds, or at the device's memory.
    """
    if rows < FEW_ROWS:
        return UNTRIED
    best, best_rate, idle = CANDIDATES[0], 0.0, 0
    started = time.perf_counter()
    for size in CANDIDATES:
        try:
            rate = size / _seconds(f, x.expand(size, *x.shape).contiguous())
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            break
        idle = 0 if rate > WORTH * best_rate else idle + 1
        if idle == 0:
            best, best_rate = size, rate
        if idle == 2 or time.perf_counter() - started > SECONDS:
            break
    return best


def _seconds(f: FrozenFunction, batch: Tensor) -> float:
    def once() -> float:
        started = time.perf_counter()
        f(batch)
        if batch.is_cuda:
            torch.cuda.synchronize(batch.device)
        return time.perf_counter() - started

    first = once()
    return min(once() for _ in range(ROUNDS if first < SECONDS / 20 else 1))
