"""A small network from measurements to a number."""

import torch
from torch import Tensor, nn

from smoothing import SettingError


class Regressor(nn.Module):
    """Two hidden layers, and a number between two bounds: (b, *shape) -> (b, 1).

    Args:
        shape: shape of an input.
        width: units of each hidden layer.
        low: lower bound of the output, in the units of the target.
        high: upper bound of the output, above `low`.

    Raises:
        SettingError: `high` is not above `low`.

    Examples:
        >>> model = Regressor((10,), low=0, high=400)
        >>> model(torch.zeros(3, 10)).shape
        torch.Size([3, 1])
    """

    def __init__(self, shape: tuple[int, ...], width: int = 64, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        if not low < high:
            raise SettingError(f"model.high: expected more than model.low = {low}, got {high}")
        self.low, self.high = low, high
        inputs = int(torch.Size(shape).numel())
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.layers(inputs)
        return self.low + (self.high - self.low) * found.sigmoid()
