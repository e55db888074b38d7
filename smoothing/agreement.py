"""Whether outputs computed in two ways are equal up to rounding."""

import torch
from torch import Tensor


def alike(a: Tensor, b: Tensor, outputs: Tensor, largest: float, spread: float, rounding: float) -> bool:
    """Whether at least half of the rows of a and b agree, both (b, *output shape).

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
        >>> alike(outputs + 1e-6, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-6)
        True
        >>> alike(outputs + 0.5, outputs, outputs, largest=0.01, spread=0.01, rounding=1e-6)
        False
    """
    a, b, outputs = (found.reshape(len(found), -1).double() for found in (a, b, outputs))
    if a.shape != b.shape:
        return False
    size = b.nan_to_num(posinf=0, neginf=0).abs().amax(dim=1, keepdim=True)
    finite = outputs.isfinite()
    apart = outputs.where(finite, -torch.inf).amax(dim=0) - outputs.where(finite, torch.inf).amin(dim=0)
    tolerance = (spread * apart.clamp(min=0) + rounding * size).minimum(largest * size)
    same = torch.isclose(a, b, rtol=0, atol=0, equal_nan=True) | ((a - b).abs() <= tolerance)
    return bool(same.all(dim=1).double().mean() >= 0.5)
