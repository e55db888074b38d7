"""Attack conformal sets, to measure how often they still hold the right class: robust ones beside ordinary ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Unpack

import numpy as np
from torch import Tensor

from smoothing.as_dict import AsDict
from smoothing.attack import projected_gradient_ascent, require_l2
from smoothing.conformal_guarantee import threshold
from smoothing.conformal_sets import CalibrationScore, ConformalSets
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.sampling import Procedure, same_input


@dataclass(frozen=True)
class AttackScore(CalibrationScore):
    """What a calibration example gives.

    Attributes:
        base_score: the score of its class without noise.
    """

    base_score: float


@dataclass(frozen=True)
class AttackedSets(AsDict):
    """Three conformal sets at an input that was attacked within eps_in.

    Attributes:
        eps_in: l2 radius of the attack; at 0 the input itself.
        robust: whether the set of `ConformalSets` for eps_in holds the class.
        smoothed: whether the ordinary conformal set of the same scores does, without a correction for eps_in.
        base: whether the ordinary conformal set of f's own scores does, without noise.
        robust_size, smoothed_size, base_size: how many classes they hold.
        classes: number of classes.
        n: samples of the sets.
        status: always "attacked".
    """

    eps_in: float
    robust: bool
    smoothed: bool
    base: bool
    robust_size: int
    smoothed_size: int
    base_size: int
    classes: int
    n: int
    status: str


class ConformalAttack(ConformalSets):
    """Attack each example within several radii, and report the conformal sets at what is found.

    Ordinary sets hold the right class of an unperturbed example with probability 1 - alpha. The attack is
    `projected_gradient_ascent` on the loss of f under noise; it knows the label.

    Args:
        f: base classifier, see `ConformalSets`.
        noise: smoothing distribution; the attack is in l2.
        radii: of the attacks, in the units of the input; 0: no attack.
        steps: number of gradient steps.
        step_size: l2 length of a step.
        copies: noisy copies in each step.
        n, p, alpha, beta, held_out, score, num_classes: see `ConformalSets`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: the noise does not certify l2, or a setting is out of range.
    """

    columns: ClassVar[tuple[str, ...]] = (
        *("index", "label", "eps_in", "robust", "smoothed", "base", "robust_size", "smoothed_size", "base_size"),
        *("classes", "n", "status", "seconds"),
    )
    shown: ClassVar[tuple[str, ...]] = columns[:9]
    draws: ClassVar[type | None] = None
    calibration_columns: ClassVar[tuple[str, ...]] = (*ConformalSets.calibration_columns, "base_score")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        radii: list[float],
        steps: int = 20,
        step_size: float = 0.1,
        copies: int = 128,
        n: int = 1000,
        p: float = 0.7,
        alpha: float = 0.1,
        beta: float = 0.01,
        held_out: int = 250,
        score: str = "probability",
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        own = {"n": n, "p": p, "alpha": alpha, "beta": beta, "held_out": held_out, "score": score}
        super().__init__(f, noise, num_classes=num_classes, **own, **evaluation)  # type: ignore[arg-type]
        require_l2(noise)
        self.radii = super().cases(radii)
        self.steps, self.step_size, self.copies = steps, step_size, copies
        self.smoothed_tau = self.base_tau = inf

    @property
    def samples(self) -> int:
        return self.n * len(self.radii)

    def cases(self, eps: Any) -> list[float]:
        return self.radii

    def calibrating(self, x: Tensor, example: int, label: int) -> Procedure[AttackScore]:
        found = yield from super().calibrating(x, example, label)
        return AttackScore(found.score, float(self.scores(self.f(x[None]))[0, label]))

    def calibrate(self, rows: Sequence[Mapping[str, Any]]) -> None:
        super().calibrate(rows)
        scores, base = (np.array([float(row[name]) for row in rows]) for name in ("score", "base_score"))
        self.smoothed_tau, self.base_tau = threshold(scores, self.alpha), threshold(base, self.alpha)

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[list[AttackedSets]]:
        """Attack x within each radius, and make the three sets there."""
        found, known = [], list[tuple[Tensor, Any]]()
        for eps in self.radii:
            attacked = x
            if eps:
                attacked = projected_gradient_ascent(
                    self.f.f,
                    self.noise,
                    x,
                    label,
                    eps,
                    steps=self.steps,
                    step_size=self.step_size,
                    samples=self.copies,
                    seed=self.seed,
                    example=example,
                )
            counts = next((counts for earlier, counts in known if same_input(earlier, attacked)), None)
            if counts is None:
                counts = yield from self.counting(attacked, example, (self.tau, self.smoothed_tau))
                known.append((attacked, counts))
            robust, smoothed = counts[0] >= self.needed(eps), counts[1] >= self.j
            base = self.scores(self.f(attacked[None]))[0].cpu().numpy() >= self.base_tau
            sets = AttackedSets(
                eps_in=eps,
                robust=bool(robust[label]),
                smoothed=bool(smoothed[label]),
                base=bool(base[label]),
                robust_size=int(robust.sum()),
                smoothed_size=int(smoothed.sum()),
                base_size=int(base.sum()),
                classes=len(base),
                n=self.n,
                status="attacked",
            )
            found.append(sets)
        return found

    def statements(self, drawn: list[AttackedSets], cases: list[float]) -> list[AttackedSets]:
        return drawn

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return None  # rows do not record the noisy copies of the attack
