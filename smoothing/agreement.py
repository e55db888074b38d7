"""Whether outputs found in two ways are the same but for rounding."""

import torch
from torch import Tensor


def alike(a: Tensor, b: Tensor, outputs: Tensor, largest: float, spread: float, rounding: float) -> bool:
    """Whether at least half of the rows of a and b agree: (b, *output shape), both.

    Args:
        a: outputs at some inputs.
        b: outputs at the same inputs.
        outputs: at many inputs, to see how far they lie apart.
        largest: of a row's largest number, how far they may differ in any case.
        spread: of the distance between the least and the largest value of each output, how far they may differ.
        rounding: of a row's largest number, what may come on top of that.
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
