"""Attack a smoothed classifier, to measure how tight its certificates are and to check that none is false."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any, Literal, Unpack

import torch
from torch import Tensor
from torch.nn import functional

from smoothing import classifier_guarantee
from smoothing.arguments import instance
from smoothing.as_dict import AsDict
from smoothing.certifier import Certifier
from smoothing.classifier_guarantee import ABSTAIN
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.noise import Noise
from smoothing.sampling import Procedure, same_input
from smoothing.smoothed_classifier import Voting
from smoothing.streams import BLOCK, Stage, Stream
from smoothing.user_code import shown


@dataclass(frozen=True)
class AttackOutcome(AsDict):
    """The result of attacking one certified example within `factor` times its radius.

    Attributes:
        factor: radius of the attack divided by the certified radius.
        prediction: g(x), certified; -1 if there is nothing to attack.
        radius: certified radius at x; 0 if there is nothing to attack.
        adversarial: g at the perturbed input; -1 if it abstains or there is nothing to attack.
        status: attacked, or skipped (g abstains at x, or its prediction is wrong).
        success: g predicts another class at the perturbed input (Predict, at level alpha).
    """

    factor: float
    prediction: int
    radius: float
    adversarial: int
    status: Literal["attacked", "skipped"]
    success: bool


class Attack(Voting, Certifier):
    """Certify an example, then attack it within multiples of its radius (Cohen et al., section 4 and appendix J.3).

    Args:
        f: base classifier.
        noise: smoothing distribution; the attack is in l2.
        n0: selection samples of Certify.
        n: estimation samples of Certify, and samples of Predict at the perturbed input.
        alpha: failure probability of Certify and of Predict, each.
        factors: radii of the attack, relative to the certified radius. At 1 or below, an attack succeeds with
            probability at most 2 alpha.
        steps: number of gradient steps, see `projected_gradient_ascent`.
        step_size: l2 length of a step.
        samples: noisy copies in each step.
        num_classes: number of classes, see `SmoothedClassifier`.
        evaluation: see `Evaluation`.

    Raises:
        SettingError: the noise does not certify l2, a factor is not positive, or n and alpha can never certify.
    """

    columns = ("index", "label", "predict", "radius", "factor", "adversarial", "success", "status", "seconds")
    shown = ("index", "label", "predict", "radius", "factor", "adversarial", "status", "seconds")
    case = "factor"

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        *,
        factors: list[float],
        n0: int = 100,
        n: int = 100_000,
        alpha: float = 0.001,
        steps: int = 20,
        step_size: float = 0.1,
        samples: int = 1000,
        num_classes: int | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        self.n0, self.n, bounds = classifier_guarantee.require_certifiable(n0, n, alpha)
        self.alpha = bounds.alpha
        instance("noise", noise, Noise, "Gaussian(sigma=0.25)")
        require_l2(noise)
        super().__init__(f, noise, num_classes=num_classes, **evaluation)
        if wrong := [factor for factor in factors if not 0 < factor < inf]:
            raise SettingError(f"certifier.factors: expected positive numbers, got {wrong[0]}")
        self.factors = factors
        self.steps, self.step_size, self.copies = steps, step_size, samples

    @property
    def samples(self) -> int:
        return self.n0 + self.n * (1 + len(self.factors))

    def cases(self, eps: Any) -> list[float]:
        return self.factors

    def __call__(self, x: Any, example: int, label: int) -> list[AttackOutcome]:
        """Attack x, (*input shape), with the samples of streams `example`: one outcome for each factor."""
        return self.engine.run(self.procedure(self.input(x), example, label))

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[list[AttackOutcome]]:
        at_x = yield from self.certifying(x, self.n0, self.n, self.alpha, example=example)
        if at_x.prediction != label or at_x.radius == 0:
            skipped = AttackOutcome(
                factor=0.0,
                prediction=at_x.prediction,
                radius=at_x.radius,
                adversarial=ABSTAIN,
                status="skipped",
                success=False,
            )
            return [replace(skipped, factor=factor) for factor in self.factors]
        outcomes, known = [], list[tuple[Tensor, int]]()
        for factor in self.factors:
            found = projected_gradient_ascent(
                self.f.f,
                self.noise,
                x,
                label,
                factor * at_x.radius,
                steps=self.steps,
                step_size=self.step_size,
                samples=self.copies,
                seed=self.seed,
                example=example,
            )
            there = next((answer for earlier, answer in known if same_input(earlier, found)), None)
            if there is None:
                there = (yield from self.predicting(found, self.n, self.alpha, example=example)).prediction
                known.append((found, there))
            outcome = AttackOutcome(
                factor=factor,
                prediction=label,
                radius=at_x.radius,
                adversarial=there,
                status="attacked",
                success=there not in (label, ABSTAIN),
            )
            outcomes.append(outcome)
        return outcomes

    def statements(self, drawn: list[AttackOutcome], cases: list[float]) -> list[AttackOutcome]:
        return drawn


def require_l2(noise: Noise) -> None:
    """Raise SettingError unless the noise certifies l2, the norm of the attacks."""
    if noise.threat_norm != "l2":
        raise SettingError(f"noise: expected one against l2, as the attack is, got {noise} against {noise.threat_norm}")


def projected_gradient_ascent(
    f: Callable[[Tensor], Tensor],
    noise: Noise,
    x: Tensor,
    label: int,
    radius: float,
    *,
    steps: int = 20,
    step_size: float = 0.1,
    samples: int = 1000,
    seed: int = 0,
    example: int = 0,
) -> Tensor:
    """A perturbed input, l2-within `radius` of x, at which the noisy samples' loss is large (Cohen et al., app. J.3).

    Steepest ascent in l2 on the mean cross entropy of f at noisy copies of the input, projected on the ball after each
    step. Fresh noise at every step, keyed as all noise is. The answer is in the ball after rounding (`inside`).

    Args:
        f: base classifier in eval mode, (b, *input shape) -> (b, number of classes) scores.
        noise: smoothing distribution.
        x: one input, (*input shape), floating-point.
        label: the class to move away from.
        radius: of the ball, > 0, in the input's units.
        steps: of the ascent.
        step_size: l2 length of a step; the paper's is 0.1.
        samples: noisy copies at each step.
        seed: of the noise.
        example: whose stream is used.

    Raises:
        SettingError: a radius, step or number out of range.
    """
    for name, value in (("radius", radius), ("steps", steps), ("step_size", step_size), ("samples", samples)):
        if not 0 < value < inf:
            raise SettingError(f"{name}: expected a positive number, got {value}")
    stream, blocks = Stream(seed, example, Stage.ATTACK), ceil(samples / BLOCK)
    target = torch.tensor([label], device=x.device)
    perturbation = torch.zeros_like(x)
    for step in range(steps):
        gradient = torch.zeros_like(x)
        for block in range(blocks):
            count = min(BLOCK, samples - block * BLOCK)
            batch = noise.sample(x + perturbation, BLOCK, stream.block(step * blocks + block, x.device))[:count]
            with torch.enable_grad(), shown("base function"):
                batch.requires_grad_(True)
                loss = functional.cross_entropy(f(batch), target.expand(count), reduction="sum")
                gradient += torch.autograd.grad(loss, batch)[0].sum(dim=0)
        norm = gradient.norm()
        if not norm > 0 or not norm.isfinite():
            break  # a flat or broken loss: there is no direction to go
        perturbation += step_size / norm * gradient
        perturbation *= min(1.0, radius * (1 - 1e-6) / float(perturbation.norm()))
    return inside(x, perturbation, radius)


def inside(x: Tensor, perturbation: Tensor, radius: float) -> Tensor:
    """The input x + perturbation, rounded to x's dtype. It is moved closer to x if rounding leaves the l2 ball.

    Examples:
        >>> x = torch.tensor([200.0])  # float32 has 65,536 numbers in each unit here
        >>> float(inside(x, torch.tensor([0.1]), radius=0.1) - x) <= 0.1 < float(x + 0.1 - x)
        True
    """
    for scale in (1.0, 1 - 1e-6, 1 - 1e-5, 1 - 1e-4, 1 - 1e-3, 0.9):
        found = x + scale * perturbation
        if float((found.double() - x.double()).norm()) <= radius:
            return found
    return x.clone()
