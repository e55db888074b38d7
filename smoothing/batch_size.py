"""The batch size at which a base function is fastest, measured."""

import time
from math import inf
from statistics import median

import torch
from torch import Tensor

from smoothing.base_function import FrozenFunction
from smoothing.errors import BaseFunctionError
from smoothing.user_code import is_out_of_memory

CANDIDATES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
UNTRIED = 64  # for so few rows that a search is not worth its time
FEW_ROWS = 10_000
WORTH = 1.02  # a larger batch must be this much faster, since it takes more memory
ROUNDS, SECONDS = 9, 6.0


def fastest_batch_size(f: FrozenFunction, x: Tensor, rows: float) -> int:
    """Rows of a batch at which f is fastest on x's device.

    Args:
        f: the base function.
        x: one input, (*shape).
        rows: how many there will be to evaluate. Fewer than 10,000 are not worth a search: 64.

    Sizes are tried from 16 on, doubling, until two in a row bring nothing, three seconds are over or the device's
    memory is full; then all of them in turn, nine times or to the sixth second. The median of each counts, so that
    it does not matter what else slowed some of them down.
    """
    if rows < FEW_ROWS:
        return UNTRIED
    started = time.perf_counter()
    seconds: dict[int, list[float]] = {}
    best, idle = inf, 0
    for size in CANDIDATES:
        try:
            _seconds(f, x, size)  # to warm up
            seconds[size] = [_seconds(f, x, size)]
        except BaseFunctionError as error:
            if not seconds or not is_out_of_memory(error):
                raise
            if x.is_cuda:
                torch.cuda.empty_cache()
            break
        idle = 0 if WORTH * seconds[size][0] / size < best else idle + 1
        best = min(best, seconds[size][0] / size)
        if idle == 2 or time.perf_counter() - started > SECONDS / 2:
            break
    for _ in range(ROUNDS):
        for size, found in seconds.items():
            if time.perf_counter() - started < SECONDS:
                found.append(_seconds(f, x, size))
    each = {size: median(found) / size for size, found in seconds.items()}
    return next((size for size, found in each.items() if found <= WORTH * min(each.values())), CANDIDATES[0])


def _seconds(f: FrozenFunction, x: Tensor, size: int) -> float:
    """How long f takes for so many copies of x."""
    batch = x.expand(size, *x.shape).contiguous()
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
    started = time.perf_counter()
    f(batch)
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
    return time.perf_counter() - started
