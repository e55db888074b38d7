"""Is a base function one fixed function of its input? A few rows are evaluated again, beside others, now and then."""

import torch
from torch import Tensor

from smoothing.agreement import alike
from smoothing.base_function import FrozenFunction
from smoothing.errors import BaseFunctionError

ROWS = 8
KEPT = (0, 1, 3)  # no two pairs of them are equally far apart: whichever neighbour counts, for most it is another
EVERY = 32  # batches between two looks
LARGEST = 0.01  # of a row's largest number: never may an output move by more
# How far outputs may move as a share of how far they lie apart, so that an offset hides nothing, and in units of their
# last digit: in a batch of the same shape, and in one of another size, where layers round otherwise.
SAME_SHAPE = 0.01, 4
ANOTHER_SIZE = 0.05, 256


class Probe:
    """Looks for what eval mode does not stop: statistics over the batch, functional dropout, chance, state that drifts.

    Rows may differ by rounding, and a discontinuous f may then jump, so one row proves nothing. Most rows do.
    """

    def __init__(self, f: FrozenFunction) -> None:
        self.f = f
        self.batches = 0  # since the last look
        self._known: tuple[Tensor, Tensor] | None = None  # rows, and their outputs as this run began
        self._thorough: set[tuple[object, ...]] = set()  # kinds of input that were looked at from all sides

    def begin(self) -> None:
        """A run begins. What f answered in earlier ones does not count: its owner may have changed it in between."""
        self._known, self.batches = None, 0

    def batch(self, batch: Tensor, outputs: Tensor) -> None:
        """A batch was evaluated: (b, *input shape) and (b, *output shape). Look at the first, and at some later ones.

        Raises:
            BaseFunctionError: outputs depend on the batch, or on chance.
        """
        self.batches += 1
        if self._known is None or self._known[0].shape[1:] != batch.shape[1:]:
            self._first(batch, outputs)
        elif self.batches >= EVERY:
            self.again()

    def _first(self, batch: Tensor, outputs: Tensor) -> None:
        """Look from all sides, and remember a few rows."""
        rows = (batch if self.f.compiled else batch[:ROWS]).clone()  # compiled for one shape
        found = self.f(rows)
        self._require(found, outputs[: len(rows)], outputs, ANOTHER_SIZE)
        self._known = rows, found
        kind = (tuple(rows.shape[1:]), rows.dtype, rows.device)
        if kind not in self._thorough:
            self._require(self.f(rows), found, found, SAME_SHAPE)
            self._beside_others(first=False)
            if not self.f.compiled:
                self._require(self.f(rows[:2]), found[:2], found, ANOTHER_SIZE)
            self._beside_others(first=True)
            self._thorough = {kind}

    def again(self) -> None:
        """Look once more. Raises BaseFunctionError."""
        if self._known is not None and self.batches:
            self._beside_others(first=True)
        self.batches = 0

    def _beside_others(self, first: bool) -> None:
        """Evaluate a few rows, from the first or from the last on, once more: the others are copies of one of them."""
        assert self._known
        rows, outputs = self._known
        places = KEPT if len(rows) > max(KEPT) else KEPT[:1]
        kept = places if first else [len(rows) - 1 - place for place in places]
        mixed = rows[kept[0]].expand_as(rows).clone()
        for place in kept:
            mixed[place] = rows[place]
        found = self.f(mixed)
        found, expected = (torch.stack([answers[place] for place in kept]) for answers in (found, outputs))
        self._require(found, expected, outputs, SAME_SHAPE)

    def _require(self, found: Tensor, expected: Tensor, outputs: Tensor, allowed: tuple[float, int]) -> None:
        spread, units = allowed
        if not alike(found, expected, outputs, LARGEST, spread, units * self.f.unit(outputs.dtype)):
            raise BaseFunctionError(
                "base function: its outputs depend on the batch or on chance; make row i a fixed function of input i"
            )
