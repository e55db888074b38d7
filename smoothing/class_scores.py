"""Scores of classes, from which conformal sets are made: the larger, the better a class fits."""

from math import inf

import torch
from torch import Tensor

from smoothing.errors import BaseFunctionError, SettingError


def class_scores(outputs: Tensor, score: str, classes: int | None = None) -> Tensor:
    """The scores of all classes, from the outputs of f: (b, classes) logits -> (b, classes), float64.

    Args:
        outputs: of f.
        score: "probability": softmax; "cumulative": see `cumulative`. A row with NaN or +inf has scores of -inf.
        classes: the least number of classes; 2 if not given.

    Raises:
        BaseFunctionError: the outputs are no scores of so many classes.
    """
    least = classes or 2
    if outputs.dim() != 2 or outputs.shape[1] < least or outputs.is_complex():
        raise BaseFunctionError(
            f"base classifier: expected scores (b, classes) of at least {least} classes, got {tuple(outputs.shape)}, "
            f"{outputs.dtype}"
        )
    logits = outputs.double()
    found = SCORES[score](logits)
    return found.masked_fill(found.isnan() | (logits == inf).any(dim=1, keepdim=True), -inf)


def cumulative(logits: Tensor) -> Tensor:
    """Minus the total softmax probability of all more probable classes: (b, classes) -> (b, classes), in [-1, 0].

    Examples:
        >>> cumulative(torch.log(torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64))).round(decimals=4) + 0.0
        tensor([[ 0.0000, -0.5000, -0.8000]], dtype=torch.float64)
    """
    probabilities = logits.softmax(dim=1)
    ordered, classes = probabilities.sort(dim=1, descending=True, stable=True)
    before = ordered - ordered.cumsum(dim=1)
    return torch.empty_like(before).scatter_(1, classes, before)


def probability(logits: Tensor) -> Tensor:
    """The softmax probability of each class: (b, classes) -> (b, classes)."""
    return logits.softmax(dim=1)


SCORES = {"probability": probability, "cumulative": cumulative}


def checked_score(score: str) -> str:
    """The name of a score. Raises SettingError if there is none of that name."""
    if score not in SCORES:
        raise SettingError(f"certifier.score: expected one of {', '.join(SCORES)}, got {score}")
    return score
