"""The votes of a base classifier: each noisy input counts for the class with its largest score."""

import warnings
from itertools import groupby
from math import inf

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SmoothingWarning


class Votes:
    """A request's `reduce` that counts votes, also those of several requests at once.

    Args:
        num_classes: number of classes; None if it is not known.
    """

    def __init__(self, num_classes: int | None = None) -> None:
        self.num_classes = num_classes
        self._warned = False

    def __call__(self, scores: Tensor) -> Tensor:
        """Votes of the rows of one request, as `of_each`: (b, classes) -> (classes + 1,)."""
        classes = self._classes(scores)
        counts = torch.zeros(scores.shape[1] + 1, dtype=torch.int64, device=scores.device)
        return counts.scatter_add_(0, classes, torch.ones_like(classes))

    def of_each(self, scores: Tensor, sizes: list[int]) -> list[Tensor]:
        """Votes of the rows of several requests.

        Args:
            scores: (b, classes).
            sizes: numbers of rows, in order; their sum is b.

        Returns:
            For each request (classes + 1,), int64, on the scores' device; last, the number of rows of no class.

        Raises:
            BaseFunctionError: they are no scores of two classes or more, or they have too few. A warning is given
                once if there are too many.
        """
        classes = self._classes(scores)
        chosen = classes[:, None] == torch.arange(scores.shape[1] + 1, device=scores.device)
        runs = [(size, len(list(same))) for size, same in groupby(sizes)]  # requests of one size are counted together
        counted = chosen.split([size * count for size, count in runs])
        return [
            votes
            for rows, (size, count) in zip(counted, runs, strict=True)
            for votes in rows.view(count, size, chosen.shape[1]).sum(dim=1)
        ]

    def _classes(self, scores: Tensor) -> Tensor:
        """The class of each row, (b,), int64; the number of classes for none. Errors as for `of_each`."""
        classes = classes_of(scores)
        found, expected = scores.shape[1], self.num_classes
        if expected is not None and found < expected:
            raise BaseFunctionError(
                f"base classifier: expected scores of {expected} classes, (b, {expected}), got {tuple(scores.shape)}: "
                "some classes could never be predicted"
            )
        if expected is not None and found > expected and not self._warned:
            self._warned = True
            warnings.warn(
                f"base classifier: it has {found} scores and there are {expected} classes; class k is score k, and a "
                "prediction beyond them is always wrong",
                SmoothingWarning,
                stacklevel=2,
            )
        return classes


def classes_of(scores: Tensor) -> Tensor:
    """The class with the largest score, (b, classes) -> (b,), int64; the number of classes for a row of no class.

    -inf is a score like any other, as of a class that is masked out. A row with a NaN or +inf has no largest score, nor
    has one of -inf alone. Raises BaseFunctionError if these are no scores of at least two classes.
    """
    if scores.dim() != 2 or scores.shape[1] < 2 or scores.is_complex() or scores.dtype == torch.uint64:
        one = scores.numel() == len(scores)
        hint = "; for one score z of class 1 answer torch.stack([-z, z], dim=1), for class numbers their one_hot"
        got = f"one number for each input{hint}" if one else f"{tuple(scores.shape)}, {scores.dtype}"
        raise BaseFunctionError(f"base classifier: expected scores (b, classes) of at least two classes, got {got}")
    largest, classes = (scores if scores.is_floating_point() else scores.long()).max(dim=1)  # NaN if there is a NaN
    return torch.where(largest.abs() < inf, classes, scores.shape[1]) if scores.is_floating_point() else classes
