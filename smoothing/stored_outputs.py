"""Certifiers of real-valued outputs that keep every output of f at an input: the median's and the mean's."""

from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from smoothing.draws_certifier import DrawsCertifier
from smoothing.errors import SettingError
from smoothing.quantile_guarantee import QuantileDraws
from smoothing.sampling import Procedure, Request, Samples
from smoothing.streams import Stage, Stream

MOST_NUMBERS = 2**24  # of all outputs at one input, which are kept
C = TypeVar("C")  # the certificate


class StoredOutputs(DrawsCertifier[QuantileDraws, C], Generic[C]):
    """What these certifiers share. They certify an interval for every output number at x."""

    draws: ClassVar[type | None] = QuantileDraws

    def _request(self, x: Tensor, example: int) -> Request:
        """The outputs to draw: the same samples for every certifier, so that one may read the draws of another."""
        return Samples(x, self.noise, self._kept, Stream(self.seed, example, Stage.CERTIFICATION), self.samples)

    def drawing(self, x: Tensor, example: int) -> Procedure[QuantileDraws]:
        """`draw`, as a procedure for `Engine.run_all`."""
        (answers,) = yield [self._request(x, example)]
        outputs = torch.cat(answers).flatten(1).cpu().numpy()
        base_output = self.f(x[None])[0].double().cpu().numpy()
        return QuantileDraws(np.sort(outputs, axis=0), base_output, origin=self.origin)

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
