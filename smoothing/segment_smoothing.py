"""SegCertify (Fischer et al. 2021): certified classes at the positions of a segmentation.

This file counts votes at each position. `segment_guarantee` states what they prove.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from smoothing.arguments import probability, whole_number
from smoothing.classifier_guarantee import ABSTAIN
from smoothing.draws_certifier import DrawsCertifier
from smoothing.errors import BaseFunctionError
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.sampling import Procedure, Samples
from smoothing.segment_guarantee import SegmentCertificate, SegmentDraws, require_feasible, segment_certificate
from smoothing.streams import Stage, Stream

MOST_CLASSES = 256  # that class numbers may distinguish


class SegmentSmoothing(DrawsCertifier[SegmentDraws, SegmentCertificate]):
    """The most probable class at each position under noise, certified at as many positions as the votes allow.

    Args:
        f: base function, (b, classes, *positions) -> scores of at least two classes; or (b, 1, *positions) -> the class
            itself, a whole number from 0 to 255, such as a mask of 0 and 1. At a position where a score is NaN or +inf,
            or that has no class number, f has no class. A frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        n0: samples that choose the class of each position.
        n: fresh samples that test them.
        alpha: probability that any claim about an input is false.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is out of range. `cases` raises it if n samples can never certify an eps.

    Examples:
        >>> from smoothing import Gaussian
        >>> g = SegmentSmoothing(lambda x: x[:, None] > 0, Gaussian(sigma=0.5), n=1000)  # one class at each coordinate
        >>> c = g.certify(torch.tensor([-1.0, 0.1, 2.0]), eps=0.5, example=0)
        >>> c.classes, round(c.certified, 2)
        (array([ 0, -1,  1]), 0.67)
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "eps_in", "certified", "tau", "n0", "n", "status", "seconds", "reason", "failure_probability"),
    )
    shown = ("index", "eps_in", "certified", "status", "failure_probability", "seconds")
    draws: ClassVar[type | None] = SegmentDraws
    rereadable = ("alpha",)

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        n0: int = 100,
        n: int = 1000,
        alpha: float = 0.001,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        super().__init__(f, noise, **evaluation)
        self.n0, self.n = whole_number("certifier.n0", n0, 1), whole_number("certifier.n", n, 1)
        self.alpha = probability("certifier.alpha", alpha)

    @property
    def samples(self) -> int:
        return self.n0 + self.n

    def drawing(self, x: Tensor, example: int) -> Procedure[SegmentDraws]:
        """`draw`, as a procedure for `Engine.run_all`: votes."""

        def request(reduce: Callable[[Tensor], Tensor], count: int, stage: Stage) -> Samples:
            return Samples(x, self.noise, reduce, Stream(self.seed, example, stage), count, shared=True)

        (selected,) = yield [request(votes, self.n0, Stage.SELECTION)]
        counts = torch.stack(selected).sum(dim=0)[:-1]
        guess = torch.where(counts.amax(dim=0) > 0, counts.argmax(dim=0), ABSTAIN)

        def same(outputs: Tensor) -> Tensor:
            return ((found := position_classes(outputs)) == guess).logical_and(found != ABSTAIN).sum(dim=0)

        (estimated,) = yield [request(same, self.n, Stage.ESTIMATION)]
        counts = torch.stack(estimated).sum(dim=0)
        return SegmentDraws(guess.cpu().numpy(), counts.cpu().numpy(), n0=self.n0, n=self.n, origin=self.origin)

    def read(self, draws: SegmentDraws, eps: float) -> SegmentCertificate:
        """The certificate for input radius eps, from earlier votes."""
        self.origin.require(draws)
        return segment_certificate(draws, eps, self.noise, self.alpha)

    def cases(self, eps: Any) -> list[float]:
        radii = super().cases(eps)
        require_feasible(self.n, self.alpha, radii, self.noise)
        return radii

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int(row["n0"]) + int(row["n"])


def position_classes(outputs: Tensor) -> Tensor:
    """The class of each position: (b, classes, *positions) scores, or (b, 1, *positions) classes -> (b, *positions).

    int64; -1 where there is none.

    Raises:
        BaseFunctionError: the outputs have no positions, are neither scores nor class numbers, or may be either.
    """
    if outputs.dim() < 3 or outputs.is_complex() or outputs.shape[1] < 1:
        raise BaseFunctionError(
            "base function: expected scores (b, classes, *positions), or classes (b, 1, *positions), got "
            f"{tuple(outputs.shape)}, {outputs.dtype}"
        )
    if outputs.shape[1] > 1:
        if outputs.dim() == 3 and _may_be_classes(outputs):
            raise BaseFunctionError(
                f"base function: whole numbers of shape {tuple(outputs.shape)} may be classes (b, height, width); "
                "answer classes as classes[:, None], and scores (b, classes, positions) as float32"
            )
        largest, classes = outputs.max(dim=1)
        return torch.where(largest.abs() < torch.inf, classes, ABSTAIN)
    found = outputs[:, 0]
    whole = (found >= 0) & (found < MOST_CLASSES) & (found == found.floor())
    if bool((found.isfinite() & ~whole).any()):
        raise BaseFunctionError(
            f"base function: expected whole numbers from 0 to {MOST_CLASSES - 1} as classes (b, 1, *positions); answer "
            "scores of at least two classes, or threshold the outputs first"
        )
    return torch.where(whole, found, ABSTAIN).long()


def _may_be_classes(outputs: Tensor) -> bool:
    """Whether outputs (b, k, positions) may be classes or masks (b, height, width): whole numbers, and not one-hot."""
    whole = (outputs == outputs.round()).all()
    one_hot = ((outputs == 0) | (outputs == 1)).all() & (outputs.sum(dim=1) == 1).all()
    return bool(whole & ~(one_hot & (outputs.dtype != torch.float64)))


def votes(outputs: Tensor) -> Tensor:
    """Votes of some rows at each position, (classes + 1, *positions), int64; last, those of no class."""
    classes = position_classes(outputs)
    count = outputs.shape[1] if outputs.shape[1] > 1 else MOST_CLASSES
    counts = torch.zeros(count + 1, *classes.shape[1:], dtype=torch.int64, device=outputs.device)
    return counts.scatter_add_(0, torch.where(classes == ABSTAIN, count, classes), torch.ones_like(classes))
