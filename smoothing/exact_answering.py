"""No abstention, deterministically: input radii within which exact balanced center smoothing answers. Ours.

L, K, rho and k = affected(eps) are those of `exact_balanced`. f_hat answers if some output, or other candidate, has
K of the L outputs within rho.

Theorem. If more than k of the L outputs at x have at least K + k of them (themselves included) within rho, then f_hat
answers at every x' within eps of x. All at once, always.

Proof. At most k of the L outputs at x' differ from those at x (`exact_balanced`). So one of these more than k outputs
is also an output at x'. At most k of the K + k within rho of it have changed, so at least K are left. The smallest ball
that holds K outputs is no larger than this one, so its radius is at most rho. QED

If the condition holds for k, it holds for every smaller k: the eps at which it holds are an interval from 0. A step
below is one noisy input that may change.
"""

import numpy as np
from numpy.typing import NDArray


def surely_answers(held: NDArray[np.int64], needed: int, steps: int) -> bool:
    """Whether f_hat answers at every x' at which at most `steps` noisy inputs have changed; see the module.

    Args:
        held: how many of the L outputs lie within rho of each of them, sorted, (L,); see `CenterDraws.held`.
        needed: K.
        steps: k.

    Examples:
        >>> held = np.array([1, 5, 6, 7])
        >>> [surely_answers(held, needed=5, steps=k) for k in range(3)]
        [True, True, False]
    """
    return steps < len(held) and bool(held[-1 - steps] >= needed + steps)


def steps_answered(held: NDArray[np.int64], needed: int) -> int:
    """The largest number of changed noisy inputs with which f_hat surely answers; -1 if there is none.

    Examples:
        >>> steps_answered(np.array([1, 5, 6, 7]), needed=5)
        1
    """
    return sum(surely_answers(held, needed, steps) for steps in range(len(held))) - 1
