"""Attack an undefended classifier: an empirical upper bound on its robust accuracy (Cohen et al., fig. 6)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from smoothing import ABSTAIN, Certifier, Noise, SettingError
from smoothing.base_function import FrozenFunction, Precision
from smoothing.engine import Engine
from smoothing.sampling import Procedure
from smoothing.user_code import shown
from smoothing.votes import Votes


@dataclass(frozen=True)
class Escape:
    """The result of the attack on one example.

    Attributes:
        prediction: the predicted class of the example; -1 if its scores are NaN or infinite.
        distance: l2 norm of a perturbation that changes the prediction, in the input's units; 0 if the prediction is
            already wrong, infinite if no perturbation was found. The classifier is not robust at any larger radius.
        status: fooled, resisted (no perturbation was found) or misclassified (already wrong).
    """

    prediction: int
    distance: float
    status: Literal["fooled", "resisted", "misclassified"]


class DeepFool(Certifier):
    """DeepFool in l2 (Moosavi-Dezfooli et al. 2016, algorithm 2) by foolbox, on the base classifier itself.

    Each step linearises the classifier at the current point and moves to the nearest decision boundary. The attack
    succeeds if the classifier's prediction changes at the perturbed input clipped to [0, 1].

    Args:
        f: classifier, (b, *input shape) in [0, 1] -> (b, number of classes) scores; frozen on construction.
        steps: the most steps, >= 1.
        candidates: number of most probable classes to consider, including the example's own; >= 2.
        overshoot: factor by which the perturbation is extended, relative to its length; >= 0. The authors use 0.02.
        precision: precision of f when it checks the result; the attack itself uses float32.

    Raises:
        SettingError: a number is out of its range.
    """

    columns = ("index", "label", "predict", "distance", "correct", "status", "seconds")
    shown = ("index", "label", "predict", "distance", "status", "seconds")
    noise: Noise = None  # type: ignore[assignment]
    samples = 0  # DeepFool draws no noise

    def __init__(
        self,
        f: nn.Module,
        *,
        steps: int = 50,
        candidates: int = 10,
        overshoot: float = 0.02,
        precision: Precision = "float32",
    ) -> None:
        for name, value, least in (("steps", steps, 1), ("candidates", candidates, 2), ("overshoot", overshoot, 0)):
            if not least <= value < float("inf"):
                raise SettingError(f"certifier.{name}: expected a finite number >= {least}, got {value}")
        self.f = FrozenFunction(f, precision)
        self.engine = Engine(self.f, batch_size=1)
        self.steps, self.candidates, self.overshoot = steps, candidates, overshoot

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Escape]:
        with torch.enable_grad():
            return self(x, label)
        yield  # makes this a generator; it requests nothing from the engine

    def __call__(self, x: Tensor, label: int) -> Escape:
        """Attack x, (*input shape), float32 in [0, 1], away from its label."""
        prediction = self._class_of(x)
        if prediction != label:
            return Escape(prediction, 0.0, "misclassified")
        found = self._perturbed(x, label).clamp(0, 1)
        if self._class_of(found) == label:
            return Escape(prediction, float("inf"), "resisted")
        return Escape(prediction, float((found - x).to(torch.float64).norm()), "fooled")

    def _class_of(self, x: Tensor) -> int:
        """The class of one input; -1 if its scores are NaN or infinite. Raises BaseFunctionError: f gives no scores."""
        counts = Votes()(self.f(x[None]))
        return int(counts[:-1].argmax()) if counts[:-1].any() else ABSTAIN

    def _perturbed(self, x: Tensor, label: int) -> Tensor:
        # Imported here because foolbox needs git to be installed, and no other certifier needs foolbox.
        from foolbox import PyTorchModel
        from foolbox.attacks import L2DeepFoolAttack

        attack = L2DeepFoolAttack(steps=self.steps, candidates=self.candidates, overshoot=self.overshoot)
        model = PyTorchModel(self.f.f, bounds=(0, 1), device=x.device)
        with shown("base function"):
            found, _, _ = attack(model, x[None], torch.tensor([label], device=x.device), epsilons=None)
        return found[0]
