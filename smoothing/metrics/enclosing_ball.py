"""Euclidean distance, with a center that is at most 3/2 times as far as the best one."""

import torch
from torch import Tensor

from smoothing.errors import SettingError
from smoothing.metrics.l2 import L2

MOST_NUMBERS = 2**28  # in all midpoints together: 2 GiB in float64


class EnclosingBallL2(L2):
    """Euclidean distance with a (1 + 1/2)-approximation of the smallest ball that contains half of the outputs.

    d(a, b) = |a - b|_2 as in `L2`, gamma = 1, but beta = 3/2. So eps_out is 2.5 R_hat, where the medoid's is 3 R_hat
    (Kumar and Goldstein 2021, section 3.1 and theorem 3 with beta = 1 + 1/2).

    **Lemma.** Let a finite set P lie in a ball of radius r, and let p, q in P be farthest apart. Then all of P lies
    within 3/2 r of their midpoint m.

    **Proof.** Let D = |p - q|, and let the ball's center be 0. For x in P,
    |x - m|^2 = |x - p|^2 / 2 + |x - q|^2 / 2 - D^2 / 4 <= 3/4 D^2. In the same way |m|^2 <= r^2 - D^2 / 4, so
    |x - m| <= r + sqrt(r^2 - D^2 / 4). The first bound increases with D and the second decreases. They are equal at
    D = sqrt(3) r, where both are 3/2 r. QED

    Let P be the outputs in the smallest ball that contains half of them. By the lemma, one of the midpoints of all
    pairs of outputs has a median distance of at most 3/2 times the best center's. A smaller factor 1 + eps needs the
    centers of all sets of about 1 / eps outputs, too many to try (Shenmaier 2015).

    n outputs have n (n - 1) / 2 midpoints, and each is compared with all n outputs. So n should be a few hundred: use a
    large delta, or `certifier.match`. Outputs in float64 keep beta = 2, because their midpoints are rounded.

    Args:
        largest: see `L2`.
        span: see `L2`.

    Raises:
        SettingError: when a center is computed, if the midpoints need too much memory.

    Examples:
        >>> metric, outputs = EnclosingBallL2(), torch.tensor([[0.0, 0.0], [2.0, 0.0]])
        >>> metric.beta(outputs[0]), metric.candidates(outputs)[-1].tolist()
        (1.5, [1.0, 0.0])
    """

    def candidates(self, outputs: Tensor) -> Tensor:
        """The candidates of `L2` and the midpoints of all pairs, in float64."""
        finite = outputs[outputs.isfinite().flatten(1).all(dim=1)]
        pairs = len(finite) * (len(finite) - 1) // 2
        if pairs * finite[:1].numel() > MOST_NUMBERS:
            raise SettingError(
                f"metric: the midpoints of all pairs of {len(finite)} outputs of {finite[:1].numel()} numbers are too "
                "many for memory; EnclosingBallL2 needs fewer outputs (certifier.n), or use metric=l2"
            )
        i, j = torch.triu_indices(len(finite), len(finite), 1, device=outputs.device)
        one, other = finite[i].double(), finite[j].double()
        return torch.cat([super().candidates(outputs).double(), one + (other - one) / 2])

    def beta(self, output: Tensor) -> float:
        """The factor beta: 3/2; 1 for outputs of one number and 2 for outputs in float64, as in `L2`."""
        return min(super().beta(output), 2.0 if output.dtype == torch.float64 else 1.5)
