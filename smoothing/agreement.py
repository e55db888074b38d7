"""Whether outputs computed in two ways are equal up to rounding."""

import torch
from torch import Tensor

FEW_NUMBERS = 0.001  # share of a row's numbers that jump where a discontinuous f of many numbers is rounded otherwise


def alike(
    a: Tensor, b: Tensor, outputs: Tensor, largest: float, spread: float, rounding: float, most: float = 0.5
) -> bool:
    """Whether half of the rows of a and b agree, and the share `most` of them in nearly all numbers; see `agreeing`."""
    whole, nearly = rows_of(agreeing(a, b, outputs, largest, spread, rounding))
    return bool((whole.double().mean() >= 0.5) & (nearly.double().mean() >= most))


def rows_of(same: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that agree in all numbers, and those that do in all but a thousandth: (b, numbers) -> (b,), (b,)."""
    return same.all(dim=1), same.double().mean(dim=1) >= 1 - FEW_NUMBERS


def agreeing(a: Tensor, b: Tensor, outputs: Tensor, largest: float, spread: float, rounding: float) -> Tensor:
    """Which numbers of a and b agree, both (b, *output shape): (b, numbers), bool. None does if the shapes differ.

    Numbers agree if they differ by at most min(spread * range + rounding * size, largest * size). Here, range is the
    difference of an output's largest and smallest value over `outputs`, and size is the row's largest absolute number.

    Args:
        a: outputs at some inputs.
        b: outputs at the same inputs.
        outputs: outputs at many inputs, (n, *output shape), to see how far apart they are.
        largest: see above.
        spread: see above.
        rounding: see above.

    Examples:
        >>> outputs = torch.tensor([[1.0], [2.0], [3.0]])
        >>> moved = outputs + torch.tensor([[1e-6], [1e-6], [0.5]])
        >>> agreeing(moved, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-6).flatten()
        tensor([ True,  True, False])
    """
    a, b, outputs = (found.reshape(len(found), -1).double() for found in (a, b, outputs))
    if a.shape != b.shape:
        return torch.zeros_like(b, dtype=torch.bool)
    size = b.nan_to_num(posinf=0, neginf=0).abs().amax(dim=1, keepdim=True)
    finite = outputs.isfinite()
    apart = outputs.where(finite, -torch.inf).amax(dim=0) - outputs.where(finite, torch.inf).amin(dim=0)
    tolerance = (spread * apart.clamp(min=0) + rounding * size).minimum(largest * size)
    return torch.isclose(a, b, rtol=0, atol=0, equal_nan=True) | ((a - b).abs() <= tolerance)
