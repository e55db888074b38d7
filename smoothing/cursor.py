"""The position in a request: how many of its noisy copies are written, and what was kept of the outputs so far."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from torch import Tensor

from smoothing.inputs import require_floating
from smoothing.noise import Noise
from smoothing.noise.check import SameCopies
from smoothing.sampling import AllCopies, Request, Samples, whole
from smoothing.streams import Stream


class Cursor:
    """Writes a request's copies into rows of batches, in order, and keeps the answers.

    Attributes:
        left: number of copies not yet written.
        begun: whether some were written.
        answers: what `reduce` returned so far.

    Raises:
        SettingError: the input is not floating-point.
    """

    def __init__(self, request: Request) -> None:
        require_floating(request.x)
        self.request, self.left = request, request.count
        self.begun = False
        self.answers: list[Tensor] = []
        self._write = request.writer()

    def write(self, rows: Tensor) -> None:
        """Write the next copies into all of `rows`, (r, *shape), r <= left."""
        self.passed(len(rows))
        self._write(rows)

    def passed(self, count: int) -> None:
        """The next `count` copies are written."""
        self.left -= count
        self.begun = True


Part = tuple[Cursor, int, int]  # a cursor, and the first and last rows of a batch, [begin, stop), for its next copies


def write_parts(parts: Sequence[Part], memory: Tensor, same: SameCopies) -> None:
    """Write the next copies of several requests into a batch, (batch size, *shape).

    Neighbours that want all copies of one finite noise are written together, which takes fewer steps, and compared by
    `same`. Raises BaseFunctionError.
    """
    for noise, neighbours in groupby(parts, key=_noise_of_all):
        some = list(neighbours)
        if noise is None or len(some) == 1:
            for cursor, begin, stop in some:
                cursor.write(memory[begin:stop])
            continue
        requests = [cursor.request for cursor, _, _ in some if isinstance(cursor.request, AllCopies)]
        AllCopies.write_all(requests, memory[some[0][1] : some[-1][2]], same)
        for cursor, begin, stop in some:
            cursor.passed(stop - begin)


def _noise_of_all(part: Part) -> Noise | None:
    """The noise of a request for all copies of a finite noise, if the batch has room for all of them."""
    cursor, begin, stop = part
    all_here = isinstance(cursor.request, AllCopies) and not cursor.begun and stop - begin == cursor.left
    return cursor.request.noise if all_here else None


def noisy_inputs(x: Tensor, noise: Noise, count: int, stream: Stream, batch_size: int) -> Iterator[Tensor]:
    """The first `count` samples of a stream around x, (*shape), in batches (b, *shape) with b <= batch_size.

    Raises SettingError if certificates under the noise do not cover such inputs.

    Examples:
        >>> import torch
        >>> from smoothing import Gaussian
        >>> from smoothing.streams import Stage
        >>> stream = Stream(seed=0, example=0, stage=Stage.PREDICTION)
        >>> [len(batch) for batch in noisy_inputs(torch.zeros(3), Gaussian(sigma=0.5), 150, stream, batch_size=64)]
        [64, 64, 22]
    """
    cursor = Cursor(Samples(x, noise, whole, stream, count))
    noise.require(x)
    while cursor.left:
        rows = x.new_empty(min(batch_size, cursor.left), *x.shape)
        cursor.write(rows)
        yield rows
