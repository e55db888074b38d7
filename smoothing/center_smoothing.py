"""Center smoothing (Kumar and Goldstein 2021): algorithms 1 (Smooth) and 2 (Certify).

This file samples outputs of the base function. `center_guarantee` states what they prove.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

import torch
from torch import Tensor

from smoothing import center_guarantee
from smoothing.arguments import input_radii, whole_number
from smoothing.center_guarantee import CenterSettings
from smoothing.center_results import CenterDraws, OutputCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.matching import matched_settings
from smoothing.medoid import best_center
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.sampled_center import SampledCenter, checked_center
from smoothing.sampling import Procedure, whole
from smoothing.streams import Stage


class CenterSmoothing(SampledCenter):
    """The smoothed function f_hat of a base function f with outputs in a metric space.

    Args:
        f: base function, (b, *input shape) -> (b, *output shape), float; a frozen copy is certified (`FrozenFunction`).
        noise: smoothing distribution in the input space.
        metric: distance in the output space.
        n: samples that choose the center. As many fresh samples check it.
        m: fresh samples for the certificate.
        delta, alpha1, alpha2, bound: see `CenterSettings`.
        center: "medoid", as in the paper: the output with the smallest median distance to all outputs. "best": the
            medoid, or one of `Metric.candidates` if its median distance is smaller. The radius is never larger.
        match: None here. In a run, "paper" takes n, m and delta as those of bound=paper, and finds the fewest samples
            that give a certificate as strong for every eps (`matching.matched_settings`).
        evaluation: see `Evaluation`.

    Raises:
        SettingError: a setting is out of range, or n is too small to accept any center.
    """

    rereadable = ("delta", "alpha1", "alpha2", "bound")

    def __init__(
        self,
        f: Callable[[Tensor], Tensor],
        noise: Noise,
        metric: Metric,
        *,
        n: int,
        m: int,
        delta: float = 0.05,
        alpha1: float = 0.005,
        alpha2: float = 0.005,
        bound: str = "exact",
        center: str = "best",
        match: str | None = None,
        **evaluation: Unpack[EvaluationOptions],
    ) -> None:
        if match is not None:
            raise SettingError(
                f"certifier.match: expected paper, in a run of certify.py, which then finds n and m, got {match}; "
                "elsewhere, compute n and m with smoothing.matching.matched_samples"
            )
        super().__init__(f, noise, metric, **evaluation)
        self.n, self.m = whole_number("certifier.n", n, 1), whole_number("certifier.m", m, 1)
        self.settings = CenterSettings(bound, delta, alpha1, alpha2)
        self.center = checked_center(center)
        self.require_feasible([])

    def why_abstain(self, radius: float, inside: int) -> str:
        return center_guarantee.why_abstain(radius, inside, self.n, self.settings)

    def require_feasible(self, eps: Sequence[float]) -> None:
        center_guarantee.require_feasible(self.n, self.m, list(eps), self.noise, self.settings)

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from earlier draws."""
        self.origin.require(draws)
        beta = self.metric.beta(draws.base_output) if self.center == "best" else None
        return center_guarantee.certificate(draws, eps, self.noise, self.metric, self.settings, beta)

    @classmethod
    def settled(cls, arguments: dict[str, Any], eps: Any, noise: Noise) -> tuple[dict[str, Any], str]:
        """With match=paper, replace n, m and delta by those that need the fewest samples (`matched_settings`)."""
        if arguments.get("match") != "paper":
            return arguments, ""
        n, m, delta, bound = (arguments[name] for name in ("n", "m", "delta", "bound"))
        if bound != "exact":
            raise SettingError(f"certifier.match: paper needs certifier.bound=exact, got {bound}")
        settings = CenterSettings(bound, delta, arguments["alpha1"], arguments["alpha2"])
        found = matched_settings(n, m, input_radii(eps), noise, settings)
        told = (
            f"certifier.match=paper: n={found[0]}, m={found[1]}, delta={found[2]:g} give a certificate as strong as "
            f"n={n}, m={m}, delta={delta:g} with bound=paper"
        )
        return arguments | {"n": found[0], "m": found[1], "delta": found[2], "match": None}, told

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int(2 * row["n"] + row["m"])

    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float, None]]:
        """The center of n outputs, and its median distance to them."""
        (answers,) = yield [self._samples(x, self.n, example, Stage.CENTER, whole)]
        outputs = torch.cat(answers)
        return *best_center(outputs, self.metric, self._candidates(outputs)), None
