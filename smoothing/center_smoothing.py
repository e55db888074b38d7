"""Center smoothing (Kumar and Goldstein 2021): algorithms 1 (Smooth) and 2 (Certify).

This file samples outputs of the base function. `center_guarantee` states what they prove.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from smoothing import center_guarantee
from smoothing.arguments import input_radii, instance, number, several, whole_number
from smoothing.as_dict import AsDict
from smoothing.center_certifier import CenterCertifier
from smoothing.center_guarantee import CenterDraws, CenterSettings, OutputCertificate
from smoothing.errors import SettingError
from smoothing.evaluation import EvaluationOptions
from smoothing.matching import matched_settings
from smoothing.medoid import best_center
from smoothing.metrics import Metric
from smoothing.noise import Noise
from smoothing.sampling import Procedure, Samples, whole
from smoothing.streams import Stage, Stream


@dataclass(frozen=True, eq=False)
class SmoothedOutput(AsDict):
    """f_hat(x), or the reason why the smoothed function abstains at x. If it abstains, do not use `center`."""

    center: Tensor
    center_radius: float
    inside: int
    n: int
    reason: str

    @property
    def abstained(self) -> bool:
        return self.reason != ""


class CenterSmoothing(CenterCertifier):
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
                f"certifier.match: expected paper, with which a run finds n and m (`matched_samples`), got {match}"
            )
        super().__init__(f, noise, **evaluation)
        self.metric = instance("metric", metric, Metric, "L2()")
        self.n, self.m = whole_number("certifier.n", n, 1), whole_number("certifier.m", m, 1)
        levels = {"delta": delta, "alpha1": alpha1, "alpha2": alpha2}
        self.settings = CenterSettings(bound, **{name: number(f"certifier.{name}", v) for name, v in levels.items()})
        self.center = checked_center(center)
        self.require_feasible([])

    @property
    def samples(self) -> int:
        """The number of samples for one example, at most."""
        return 2 * self.n + self.m

    def cases(self, eps: Any) -> list[float]:
        radii = super().cases(eps)
        self.require_feasible(radii)
        return radii

    def require_feasible(self, eps: Sequence[float]) -> None:
        """Raise SettingError if n or m samples can never certify some eps. The message says how many are enough."""
        center_guarantee.require_feasible(self.n, self.m, list(eps), self.noise, self.settings)

    def smooth(self, x: Any, example: int | None = None) -> SmoothedOutput:
        """f_hat(x) (algorithm 1).

        Args:
            x: one input, (*input shape); moved to f's device.
            example: number of the streams of samples, to reproduce a result; fresh ones by default.

        Raises:
            BaseFunctionError: see `FrozenFunction`.
            SettingError: x is not an input, see `inputs.as_tensor`.
        """
        return self.engine.run(self.smoothing(self.input(x), self.number_of(example)))

    def smoothing(self, x: Tensor, example: int) -> Procedure[SmoothedOutput]:
        """`smooth`, as a procedure for `Engine.run_all`; x is a floating-point tensor on f's device."""
        # 1. The center: the point with the smallest median distance to n outputs.
        center, radius = yield from self._center(x, example)

        # 2. Count how many of n fresh outputs lie in its ball. Distances are computed pairwise, as for the radius, so
        # equal distances are rounded equally: a discrete f has many outputs on the sphere.
        def inside(outputs: Tensor) -> Tensor:
            return (self.metric.pairwise(center[None], outputs) <= radius).sum()

        (counts,) = yield [self._samples(x, self.n, example, Stage.FRESH_CHECK, inside)]
        count = int(torch.stack(counts).sum())
        # 3. The center is rejected if too few outputs lie in its ball.
        reason = center_guarantee.why_abstain(radius, count, self.n, self.settings)
        return SmoothedOutput(center, radius, count, self.n, reason)

    def draw(self, x: Any, example: int | None = None) -> CenterDraws:
        """Draw everything that certificates at x need (algorithm 2, up to the distances). Arguments: see `smooth`."""
        return self.engine.run(self.drawing(self.input(x), self.number_of(example)))

    def drawing(self, x: Tensor, example: int) -> Procedure[CenterDraws]:
        """`draw`, as a procedure for `Engine.run_all`."""
        smoothed = yield from self.smoothing(x, example)
        center = smoothed.center[None]
        distances = torch.empty(0, dtype=torch.float64)
        if not smoothed.abstained:
            request = self._samples(
                x, self.m, example, Stage.CERTIFICATION, lambda outputs: self.metric(outputs, center)
            )
            (found,) = yield [request]
            distances = torch.cat(found).cpu()
        base_output = self.f(x[None])
        return CenterDraws(
            base_output=base_output[0].cpu(),
            center=smoothed.center.cpu(),
            center_radius=smoothed.center_radius,
            n=self.n,
            inside=smoothed.inside,
            distances=np.sort(distances.numpy()),
            smoothing_error=float(self.metric(base_output, center)),
        )

    @overload
    def certify(self, x: Any, eps: float, example: int | None = None) -> OutputCertificate: ...
    @overload
    def certify(self, x: Any, eps: Iterable[float], example: int | None = None) -> list[OutputCertificate]: ...
    def certify(
        self, x: Any, eps: float | Iterable[float], example: int | None = None
    ) -> OutputCertificate | list[OutputCertificate]:
        """Certified output radius at x for one input radius or, from the same draws, for several (algorithm 2).

        Args:
            x: one input, (*input shape); moved to f's device.
            eps: input radius or radii in the noise's threat norm, in the units of x: a number, or several in a list,
                tuple, array, tensor or generator.
            example: see `smooth`.

        Returns:
            An `OutputCertificate`; a list of them where eps are several.

        Raises:
            BaseFunctionError: see `FrozenFunction`.
            SettingError: x is no input, or eps no numbers of at least 0.
        """
        one, radii = not several(eps), input_radii(eps)
        draws = self.draw(x, example)
        found = [self.read(draws, radius) for radius in radii]
        return found[0] if one else found

    def certify_all(
        self, examples: Any, eps: Any, *, first: int | None = None, progress: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """Certify examples one after another. Arguments and errors as for `certify`.

        Args:
            examples: a batch (b, *input shape), a `DataLoader`, a data set, or a list of inputs or of (input, label).
            eps: one input radius or several.
            first: `example` of the first one, the others count on from there; the next free number by default.
            progress: show a bar on stderr.

        Yields:
            (number, certificate or list of them) of each: `certify(x, eps, example=number)` gives the same.
        """
        one, radii = not several(eps), input_radii(eps)

        def read(x: Tensor, example: int) -> Procedure[Any]:
            draws = yield from self.drawing(x, example)
            found = [self.read(draws, radius) for radius in radii]
            return found[0] if one else found

        return self.each(examples, read, first, progress)

    def read(self, draws: CenterDraws, eps: float) -> OutputCertificate:
        """The certificate for eps, from earlier draws."""
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

    def _center(self, x: Tensor, example: int) -> Procedure[tuple[Tensor, float]]:
        """The center of n outputs, and its median distance to them."""
        (answers,) = yield [self._samples(x, self.n, example, Stage.CENTER, whole)]
        outputs = torch.cat(answers)
        return best_center(outputs, self.metric, self._candidates(outputs))

    def _candidates(self, outputs: Tensor) -> Tensor:
        """Centers to consider in addition to the outputs."""
        return self.metric.candidates(outputs) if self.center == "best" else outputs[:0]

    def _samples(
        self, x: Tensor, count: int, example: int, stage: Stage, reduce: Callable[[Tensor], Tensor]
    ) -> Samples:
        return Samples(x, self.noise, reduce, Stream(self.seed, example, stage), count)


def checked_center(center: str) -> str:
    """The kind of center. Raises SettingError if it is unknown."""
    if center not in ("medoid", "best"):
        raise SettingError(f"certifier.center: expected medoid or best, got {center}")
    return center
