"""The position in a request: how many of its noisy copies are written, and what was kept of the outputs so far."""

from collections.abc import Iterator

from torch import Tensor

from smoothing.inputs import require_floating
from smoothing.noise import Noise
from smoothing.sampling import Request, Samples, whole
from smoothing.streams import Stream


class Cursor:
    """Writes a request's copies into rows of batches, in order, and keeps the answers.

    Attributes:
        left: number of copies not yet written.
        begun: whether some were written.
        answers: what `reduce` returned so far.

    Raises:
        SettingError: certificates under the noise do not cover such inputs.
    """

    def __init__(self, request: Request) -> None:
        require_floating(request.x)
        request.noise.require(request.x)
        self.request, self.left = request, request.count
        self.begun = False
        self.answers: list[Tensor] = []
        self._write = request.writer()

    def write(self, rows: Tensor) -> None:
        """Write the next copies into all of `rows`, (r, *shape), r <= left."""
        self.left -= len(rows)
        self.begun = True
        self._write(rows)


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """The first `count` samples of a stream around x, (*shape), in batches (b, *shape) with b <= batch_size.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.streams import Stage
        >>> stream = Stream(seed=0, example=0, stage=Stage.PREDICTION)
        >>> [len(batch) for batch in noisy_inputs(torch.zeros(3), Gaussian(sigma=0.5), 150, stream, batch_size=64)]
        [64, 64, 22]
    """
    cursor = Cursor(Samples(x, noise, whole, stream, count))
    while cursor.left:
        rows = x.new_empty(min(batch_size, cursor.left), *x.shape)
        cursor.write(rows)
        yield rows
