"""The memory of batches: on CUDA a double buffer, so that noise is drawn while the network evaluates."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class DoubleBuffer:
    """Batches for inputs of one shape, dtype and device, in memory that is reused.

    On CUDA there are two buffers. Noise is written into one of them, on a separate stream, while the network evaluates
    the other. On a CPU there is one.

    Args:
        x: an input, (*shape).
        batch_size: number of rows in a batch.
    """

    def __init__(self, x: Tensor, batch_size: int) -> None:
        self._kind = (x.shape, x.dtype, x.device)
        self._cuda = x.is_cuda
        self._buffers = [x.new_zeros(batch_size, *x.shape) for _ in range(2 if self._cuda else 1)]
        self._current = 0
        if self._cuda:
            self._side = torch.cuda.Stream(x.device)
            self._free = [torch.cuda.Event() for _ in self._buffers]
            for event in self._free:
                event.record(torch.cuda.current_stream(x.device))

    def fits(self, x: Tensor) -> bool:
        """Whether x has the shape, dtype and device of this buffer's inputs."""
        return (x.shape, x.dtype, x.device) == self._kind

    def next(self) -> Tensor:
        """The buffer to fill next, (batch_size, *shape)."""
        self._current = (self._current + 1) % len(self._buffers)
        return self._buffers[self._current]

    @contextmanager
    def filling(self, new: bool) -> Iterator[None]:
        """Write noise into the current buffer inside: on CUDA, while the network evaluates the previous batch.

        Args:
            new: whether an input is in a batch for the first time. Then wait for the work that made it, such as its
                copy to the device.
        """
        if not self._cuda:
            yield
            return
        main = torch.cuda.current_stream(self._side.device)
        if new:
            self._side.wait_stream(main)
        else:
            self._side.wait_event(self._free[self._current])
        try:
            with torch.cuda.stream(self._side):
                yield
        finally:  # also if a noise raises: its input's memory is free again after that
            main.wait_stream(self._side)

    def used(self) -> None:
        """Mark the current buffer as free once the device has done all work queued so far."""
        if self._cuda:
            self._free[self._current].record(torch.cuda.current_stream(self._side.device))
