"""A check that a base function is one fixed function of its input: a few rows are evaluated again in other batches."""

import torch
from torch import Tensor

from smoothing.agreement import alike
from smoothing.base_function import FrozenFunction
from smoothing.errors import BaseFunctionError

ROWS = 8  # rows kept for later checks
KEPT = (0, 1, 3)  # of these, the rows that are evaluated again. All distances between them differ, so most rows get a
# new neighbour, at whatever distance a neighbour has an effect.
EVERY = 32  # batches between two checks
LARGEST = 0.01  # an output may never change by more than this, relative to its row's largest number
# How far outputs may change: as a share of the spread of outputs, so that a common offset hides nothing, plus units in
# the last digit. For a batch of the same shape, and for one of another size, where layers round differently.
SAME_SHAPE = 0.01, 4
ANOTHER_SIZE = 0.05, 256


class Probe:
    """Detects what eval mode does not prevent: statistics over the batch, functional dropout, randomness, hidden state.

    Rows may differ by rounding, and a discontinuous f may then jump. So one row proves nothing, but most rows do.
    """

    def __init__(self, f: FrozenFunction) -> None:
        self.f = f
        self.batches = 0  # since the last check
        self._known: tuple[Tensor, Tensor] | None = None  # rows, and their outputs at the beginning of this run
        self._thorough: set[tuple[object, ...]] = set()  # kinds of input that were checked in every way

    def begin(self) -> None:
        """A run begins. Forget the outputs of earlier runs: the owner of f may have changed it since."""
        self._known, self.batches = None, 0

    def check(self, batch: Tensor, outputs: Tensor) -> None:
        """Check the first batch that was evaluated, and every 32nd later one: (b, *input shape), (b, *output shape).

        Raises:
            BaseFunctionError: outputs depend on the batch or on chance.
        """
        self.batches += 1
        if self._known is None or self._known[0].shape[1:] != batch.shape[1:]:
            self._check_first(batch, outputs)
        elif self.batches >= EVERY:
            self.check_again()

    def _check_first(self, batch: Tensor, outputs: Tensor) -> None:
        """Check in every way, and keep a few rows."""
        rows = (batch if self.f.compiled else batch[:ROWS]).clone()  # compiled for one shape
        found = self.f(rows)
        self._require(found, outputs[: len(rows)], outputs, ANOTHER_SIZE)
        self._known = rows, found
        kind = (tuple(rows.shape[1:]), rows.dtype, rows.device)
        if kind not in self._thorough:
            self._require(self.f(rows), found, found, SAME_SHAPE)
            self._require(self.f(rows.roll(1, 0)), found.roll(1, 0), found, SAME_SHAPE)  # each at another position
            self._check_among_copies(first=False)
            if not self.f.compiled:
                self._require(self.f(rows[:2]), found[:2], found, ANOTHER_SIZE)
            self._check_among_copies(first=True)
            self._thorough = {kind}

    def check_again(self) -> None:
        """Check once more, unless nothing was evaluated since the last check. Raises BaseFunctionError."""
        if self._known is not None and self.batches:
            self._check_among_copies(first=True)
        self.batches = 0

    def _check_among_copies(self, first: bool) -> None:
        """Evaluate `KEPT` rows again, counted from the first or from the last row, among copies of one of them."""
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
