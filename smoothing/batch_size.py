"""Measure the batch size at which a base function is fastest."""

import io
import time
from contextlib import redirect_stderr
from math import inf
from statistics import median

import torch
from torch import Tensor

from smoothing.base_function import FrozenFunction
from smoothing.errors import BaseFunctionError

CANDIDATES = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
FEW_ROWS = 10_000  # fewer are not worth a search
UNTRIED = (64, 512, 2**15)  # least and largest batch size for few rows, and the numbers that a batch has between them
WORTH = 1.02  # a larger batch must be faster by this factor, because it needs more memory
ROUNDS, SECONDS = 9, 6.0  # of measuring, at most
SPARE = 8  # one part in so many of a GPU's free memory stays free while f is measured


def fastest_batch_size(f: FrozenFunction, x: Tensor, rows: float) -> int:
    """The number of rows in a batch at which f is fastest on x's device.

    Sizes are tried from 16 on, doubling, until two in a row bring no gain, f has taken 3 seconds, or a size fails:
    memory is full, or the device's libraries cannot take so many rows. Then all of these sizes are measured in turn,
    nine times, or until f has taken 6 seconds. A size that fails now is dropped. The median time of each size is
    compared, so that a disturbance of single measurements does not matter.

    A compiled f is measured before it is compiled, because every size would be compiled for a minute. Compilation
    removes work of the host, which a large batch hides anyway.

    Args:
        f: the base function.
        x: one input, (*shape).
        rows: number of rows that will be evaluated. For fewer than 10,000 there is no search. The result is 64, or for
            inputs of less than 512 numbers up to 512.

    Raises:
        BaseFunctionError: f fails on 16 rows.

    Examples:
        >>> fastest_batch_size(FrozenFunction(lambda batch: batch), torch.zeros(3), rows=1000)
        512
    """
    if rows < FEW_ROWS:
        least, largest, numbers = UNTRIED
        return max(least, min(largest, numbers // max(1, x.numel())))
    f = f.uncompiled()
    seconds: dict[int, list[float]] = {}
    best, idle, spent = inf, 0, 0.0
    _seconds(f, x, CANDIDATES[0])
    for size in CANDIDATES:
        _unless_it_fails(f, x, size)  # to warm up, which may take long: libraries choose their algorithms
        taken = _unless_it_fails(f, x, size)
        if taken == inf:
            break
        seconds[size] = [taken]
        spent += 2 * taken
        idle = 0 if WORTH * taken / size < best else idle + 1
        best = min(best, taken / size)
        if idle == 2 or spent > SECONDS / 2:
            break
    for _ in range(ROUNDS):
        for size, found in seconds.items():
            if spent < SECONDS and found[-1] < inf:
                found.append(_unless_it_fails(f, x, size))
                spent += found[-1] if found[-1] < inf else 0.0
    each = {size: median(found) / size for size, found in seconds.items() if found[-1] < inf}
    return next((size for size, found in each.items() if found <= WORTH * min(each.values())), CANDIDATES[0])


def _unless_it_fails(f: FrozenFunction, x: Tensor, size: int) -> float:
    """Seconds that f takes for `size` copies of x; infinity if it fails."""
    try:
        with redirect_stderr(io.StringIO()):  # torch.fx prints the code around a failure
            return _seconds(f, x, size)
    except (BaseFunctionError, torch.OutOfMemoryError):
        if x.is_cuda:
            torch.cuda.empty_cache()
        return inf


def _seconds(f: FrozenFunction, x: Tensor, size: int) -> float:
    """Seconds that f takes for `size` copies of x."""
    batch, held = x.expand(size, *x.shape).contiguous(), []
    if batch.is_cuda:
        held = [torch.empty(_free(batch.device) // SPARE, dtype=torch.uint8, device=batch.device)]
        held += [torch.empty_like(batch) for _ in range(2)]  # the engine's other batch, and noise
        torch.cuda.synchronize(batch.device)
    started = time.perf_counter()
    f(batch)
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
    del held
    return time.perf_counter() - started


def _free(device: torch.device) -> int:
    """Bytes of a GPU's memory that tensors could take, those included that torch keeps for them."""
    free: int = torch.cuda.mem_get_info(device)[0]
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
