"""Certifiers of real-valued outputs that keep every output of f at an input: the median's and the mean's."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, overload

import numpy as np
import torch
from torch import Tensor

from smoothing.arguments import input_radii, several
from smoothing.certifier import Certifier
from smoothing.errors import SettingError
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.sampling import Procedure, Request
from smoothing.smoothed import Smoothed

MOST_NUMBERS = 2**24  # of all outputs at one input, which are kept
C = TypeVar("C")  # the certificate


class StoredOutputs(Smoothed, Certifier, Generic[C]):
    """What these certifiers share. Draws are stored, and each input radius has a row."""

    case = "eps_in"
    needs_labels = False
    draws: ClassVar[type | None] = QuantileDraws

    @abstractmethod
    def _request(self, x: Tensor, example: int) -> Request:
        """The outputs to draw."""

    @abstractmethod
    def read(self, draws: QuantileDraws, eps: float) -> C:
        """The certificate for input radius eps, from earlier draws."""

    def certify_draws(self, x: Any, example: int | None = None) -> QuantileDraws:
        """The outputs from which all certificates at x, (*input shape), are read."""
        return self.engine.run(self.drawing(self.input(x), self.number_of(example)))

    def drawing(self, x: Tensor, example: int) -> Procedure[QuantileDraws]:
        """`certify_draws`, as a procedure for `Engine.run_all`."""
        (answers,) = yield [self._request(x, example)]
        outputs = torch.cat(answers).flatten(1).cpu().numpy()
        base_output = self.f(x[None])[0].double().cpu().numpy()
        return QuantileDraws(np.sort(outputs, axis=0), base_output)

    def _kept(self, outputs: Tensor) -> Tensor:
        """Outputs (b, *output shape) as real numbers, float64. Raises SettingError if all samples' are too many."""
        if outputs.is_complex():
            raise SettingError(f"certifier: {type(self).__name__} needs real outputs, got complex ones")
        if (many := outputs[:1].numel() * self.samples) > MOST_NUMBERS:
            raise SettingError(
                f"certifier: expected at most {MOST_NUMBERS:,} output numbers to keep in memory for one input, got "
                f"{many:,}; set a smaller certifier.n, or return fewer numbers from the model"
            )
        return outputs.double()

    @overload
    def certify(self, x: Any, eps: float, example: int | None = None) -> C: ...
    @overload
    def certify(self, x: Any, eps: Iterable[float], example: int | None = None) -> list[C]: ...
    def certify(self, x: Any, eps: float | Iterable[float], example: int | None = None) -> C | list[C]:
        """The certified interval of every output number at x, for one input radius or, from the same draws, several.

        Args:
            x: one input, (*input shape); moved to f's device.
            eps: input radius or radii in the noise's threat norm, in the units of x.
            example: number of the streams of samples, to reproduce a result; fresh ones by default.

        Raises:
            BaseFunctionError: see `FrozenFunction`.
            SettingError: x is no input, eps no numbers of at least 0, or there are too many outputs to keep.
        """
        one, radii = not several(eps), input_radii(eps)
        draws = self.certify_draws(x, example)
        found = [self.read(draws, radius) for radius in radii]
        return found[0] if one else found

    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[QuantileDraws]:
        return self.drawing(x, example)

    def cases(self, eps: Any) -> list[float]:
        return list(dict.fromkeys(input_radii(eps)))

    def statements(self, drawn: QuantileDraws, cases: list[float]) -> list[C]:
        return [self.read(drawn, eps) for eps in cases]

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        return int(row["n"])
