"""A check that a base function is one fixed function of its input: a few rows are evaluated again in other batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from smoothing.agreement import agreeing, rows_of
from smoothing.base_function import FrozenFunction
from smoothing.errors import BaseFunctionError
from smoothing.fast_copy import ROUGHLY  # in place of LARGEST, between a network and its fast copy

ROWS = 8  # rows kept for later checks
MANY, SOME = 64, 4  # rows from everywhere in a batch that are evaluated again: in the longest so far, and in others
# Of these, the rows that are evaluated again. All distances between them differ, so most rows get a new neighbour, at
# whatever distance a neighbour has an effect.
KEPT = (0, 1, 3)
EVERY = 32  # batches between two checks
LARGEST = 0.01  # an output may never change by more than this, relative to its row's largest number
# How far outputs may change: as a share of the spread of outputs, so that a common offset hides nothing, plus units in
# the last digit. For a batch of the same shape, and for one of another size, where layers round differently.
SAME_SHAPE = 0.01, 4
ANOTHER_SIZE = 0.05, 256
SINGLE = torch.finfo(torch.float32).eps
NOT_FIXED = "base function: its outputs depend on the batch or on chance; make row i a fixed function of input i"
OTHER_COPY = (
    "base function: the faster copy of the network is another function: pass lambda batch: network(batch), with the "
    "network in eval mode, and report this network"
)
JUMPS, SHARE, ROUGH_SHARE = 4, 0.05, 0.5  # rows that may change, and their share of all that were evaluated again


@dataclass
class Past:
    """What all runs have checked.

    Attributes:
        thorough: the kind of input that was checked in every way.
        longest: rows of the longest batch of that kind of which `MANY` rows were evaluated again.
        turn: how often rows of a batch were.
        checked: rows that were evaluated again.
        changed: rows of these that changed.
    """

    thorough: tuple[object, ...] = ()
    longest: int = 0
    turn: int = 0
    checked: int = 0
    changed: int = 0


class Probe:
    """Detects what eval mode does not prevent: statistics over the batch, functional dropout, randomness, hidden state.

    It also compares a network's fast copy with the network. Rows may differ by rounding, and a discontinuous f may then
    jump. So a few rows prove nothing, but half of those of one check do, or a twentieth of those of all checks.
    """

    def __init__(self, f: FrozenFunction, past: "Past | None" = None) -> None:
        self.f, self.past = f, past or Past()
        self.batches = 0  # since the last check
        self._known: tuple[Tensor, Tensor] | None = None  # rows, and their outputs at the beginning of this run

    def of_a_run(self) -> "Probe":
        """The probe of one run, which another run may interrupt. The owner of f may change it between runs."""
        return Probe(self.f, self.past)

    def check(self, batch: Tensor, outputs: Tensor) -> None:
        """Check the first batch, the longest so far, and every 32nd: (b, *input shape), (b, *output shape).

        Raises:
            BaseFunctionError: outputs depend on the batch or on chance, or the fast copy is another function.
        """
        self.batches += 1
        if self._known is None or self._known[0].shape[1:] != batch.shape[1:]:
            self._require(self._first(batch, outputs))
        elif self.batches >= EVERY:
            self._require([*self._rows(batch, outputs), self._among_copies(first=True)])
            self.batches = 0
        elif len(batch) > self.past.longest:
            self._require(self._rows(batch, outputs))

    def check_again(self) -> None:
        """Check once more, unless nothing was evaluated since the last check. Raises BaseFunctionError."""
        if self._known is not None and self.batches:
            self._require([self._among_copies(first=True)])
        self.batches = 0

    def _first(self, batch: Tensor, outputs: Tensor) -> "list[Again]":
        """Keep a few rows, and evaluate them again; in every way, if the kind of input is new."""
        rows = (batch if self.f.compiled else batch[:ROWS]).clone()  # compiled for one shape
        found = self.f(rows)
        self._known = rows, found
        done = [Again(found, outputs[: len(rows)], outputs, *ANOTHER_SIZE)]
        kind = (tuple(rows.shape[1:]), rows.dtype, rows.device)
        if kind == self.past.thorough:
            return done + self._rows(batch, outputs)
        self.past.thorough, self.past.longest = kind, 0
        done += self._rows(batch, outputs)
        done += [
            Again(self.f(rows), found, found, *SAME_SHAPE),
            Again(self.f(rows.roll(1, 0)), found.roll(1, 0), found, *SAME_SHAPE),  # each at another position
            self._among_copies(first=False),
        ]
        if not self.f.compiled:
            done.append(Again(self.f(rows[:2]), found[:2], found, *ANOTHER_SIZE))
        return [*done, self._among_copies(first=True)]

    def _rows(self, batch: Tensor, outputs: Tensor) -> "list[Again]":
        """Evaluate rows from everywhere in a batch again, at other positions, also by the network itself."""
        count = max(1, min(len(batch) - 1, MANY if len(batch) > self.past.longest else SOME))
        evenly = torch.linspace(0, len(batch) - 1, count, device=batch.device).round().long()
        at = (evenly + self.past.turn) % len(batch)
        self.past.longest, self.past.turn = max(self.past.longest, len(batch)), self.past.turn + 1
        rows, expected = batch[at], outputs[at]
        if self.f.compiled:  # for one shape
            half = len(batch) // 2
            done = [Again(self.f(batch.roll(half, 0)), outputs.roll(half, 0), outputs, *SAME_SHAPE)]
        else:
            steps = {1, max(1, count // SOME)}
            done = [Again(self.f(rows[::step]), expected[::step], outputs, *ANOTHER_SIZE) for step in steps]
        if self.f.is_fast:
            done.append(Again(self.f.as_given(rows), expected, outputs, *ANOTHER_SIZE, as_given=True))
        return done

    def _among_copies(self, first: bool) -> "Again":
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
        return Again(found, expected, outputs, *SAME_SHAPE)

    def _require(self, done: "list[Again]") -> None:
        """Raise BaseFunctionError if too many rows have changed. The host waits for the device once."""
        counts = [again.counts(self.f.unit(again.outputs.dtype)) for again in done]
        for again, (agree, unchanged) in zip(done, torch.stack(counts).tolist(), strict=True):
            rows = len(again.expected)
            self.past.checked += rows
            self.past.changed += rows - unchanged
            share = ROUGH_SHARE if self.f.unit(again.outputs.dtype) > SINGLE else SHARE
            if 2 * agree < rows or self.past.changed > JUMPS + share * self.past.checked:
                self.past.checked = self.past.changed = 0
                self.past.thorough = ()  # f may have been mended, or is only tried again
                raise BaseFunctionError(OTHER_COPY if again.as_given else NOT_FIXED)


@dataclass(frozen=True)
class Again:
    """Outputs of rows that were evaluated again.

    Attributes:
        found: outputs, (r, *output shape).
        expected: earlier outputs of the same rows.
        outputs: outputs of many rows, to see how far apart they are.
        spread: see `agreeing`.
        units: units in the last digit that they may differ by, in addition.
        as_given: whether the network itself was evaluated, and not its fast copy.
    """

    found: Tensor
    expected: Tensor
    outputs: Tensor
    spread: float
    units: int
    as_given: bool = False

    def counts(self, unit: float) -> Tensor:
        """The number of rows that agree, and of those that do in nearly all numbers: (2,), on the device."""
        largest = ROUGHLY if self.as_given and unit > SINGLE else LARGEST
        same = agreeing(self.found, self.expected, self.outputs, largest, self.spread, self.units * unit)
        return torch.stack([rows.sum() for rows in rows_of(same)])
