"""Euclidean distance, with a center that is within 3/2 of the best one."""

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.l2 import L2

MOST_NUMBERS = 2**28  # of all midpoints together, 2 GiB in float64


class EnclosingBallL2(L2):
    """As `L2`, with a (1 + 1/2)-approximation of the smallest ball that holds half of the outputs: beta = 3/2.

    Lemma. Let a finite set P lie in a ball of radius r, and let p, q be two of its points that are farthest apart. Then
    all of P lies within 3/2 r of their midpoint m. Proof. Let D = |p - q|, and let the ball's center be 0. For x in P,
    |x - m|^2 = |x - p|^2 / 2 + |x - q|^2 / 2 - D^2 / 4 <= 3/4 D^2. Also |m|^2 <= r^2 - D^2 / 4 in the same way, so
    |x - m| <= r + sqrt(r^2 - D^2 / 4). One bound rises with D and the other falls; they meet at D = sqrt(3) r, where
    both are 3/2 r. QED

    Take for P the outputs in the smallest ball that holds half of them. The midpoints of all pairs of outputs then hold
    a center whose median distance is at most 3/2 of the best one's. So eps_out is 2.5 distances where the medoid's is 3
    (Kumar and Goldstein 2021, section 3.1 and theorem 3 with beta = 1 + 1/2). The points of a smaller 1 + eps are the
    centers of all sets of about 1 / eps outputs, too many to try (Shenmaier 2015).

    n outputs have n (n - 1) / 2 midpoints, each compared with all n. So this is for n of a few hundred: use a large
    delta, or `certifier.match`. Outputs in float64 keep beta = 2, since their midpoints are rounded.

    Args: those of `L2`.

    Raises:
        SettingError: at a center, too many outputs for the memory of their midpoints.
    """

    def candidates(self, outputs: Tensor) -> Tensor:
        """The midpoints of all pairs, in float64, beside those of `L2`."""
        finite = outputs[outputs.isfinite().flatten(1).all(dim=1)]
        pairs = len(finite) * (len(finite) - 1) // 2
        if pairs * finite[:1].numel() > MOST_NUMBERS:
            raise SettingError(
                f"metric: EnclosingBallL2 compares the midpoints of all pairs of {len(finite)} outputs of "
                f"{finite[:1].numel()} numbers, too many for memory; take fewer (certifier.n) or metric=l2"
            )
        i, j = torch.triu_indices(len(finite), len(finite), 1, device=outputs.device)
        one, other = finite[i].double(), finite[j].double()
        return torch.cat([super().candidates(outputs).double(), one + (other - one) / 2])

    def beta(self, output: Tensor) -> float:
        """3/2; 1 for one number and 2 for outputs in float64, as `L2`."""
        return min(super().beta(output), 2.0 if output.dtype == torch.float64 else 1.5)
