"""No abstention: input radii within which balanced center smoothing surely answers, from samples. Ours.

The certificate of `balanced_guarantee` is about x' at which f_hat does not abstain. An attacker may want it to abstain.

**The smoothed function** here chooses its center among C candidates, which are outputs of their own. It takes the one
whose ball with K' of n more outputs is smallest, and answers if K of n fresh outputs lie within rho of it. With
a = alpha3 / 6, let

    g  be the least mass with P[Bin(n, g) < K] <= a
    K' the least count with C P[Bin(n, g) >= K'] <= a
    P  the least mass with P[Bin(n, P) < K'] <= a
    s  the least mass with P[Bin(C, s) < 1] <= a, so 1 - a^(1/C)

**Theorem.** Let M = mass(P, eps), and K_M the least count with C P[Bin(n, M) >= K_M] <= a. Let J of the C candidates
at x have at least K_M of the n outputs within rho, and let v be the lower confidence bound from J of C at level a. If
v >= mass(s, eps), then f_hat answers at every x' within eps of x, with probability at least 1 - alpha3 over the draws
at x and x'.

*Proof.* The set G = {w : B(w, rho) holds mass at least M at x} does not depend on the draws. Each of the six statements
is false with probability at most a.
 (1) All J candidates lie in G: by the union bound over C candidates, none outside of G has K_M outputs within rho.
 (2) So at least J of C outputs lie in G, and G holds mass at least v >= mass(s, eps) at x.
By the definition of mass, G holds at least s at x', and B(w, rho) holds at least P at x' for every w in G. At x':
 (3) Some candidate lies in G.
 (4) At least K' of the n outputs lie within rho of it. So the ball with K' outputs around the chosen center, which is
     no larger, lies within rho: the center has K' outputs within rho, too.
 (5) By the union bound over C candidates, none whose ball of radius rho holds less than g has K' outputs within rho. So
     the chosen center's ball holds at least g.
 (6) At least K of the n fresh outputs lie in it, so f_hat answers. QED

The triangle inequality is not used. Distances are computed with errors, but J counts outputs within a slightly smaller
rho, so that the errors do not matter (docs/soundness.md, 2).

**One statement for every eps.** M, K_M and mass(s, eps) do not fall with eps, and v does not rise. So if the condition
holds for some eps, it holds for every smaller one. For a fixed x', a claim for any eps that x' is within implies the
claim for the distance of x' from x, which is false with probability at most alpha3. So the largest eps at which the
condition holds may be chosen after looking at the draws.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smoothing.bisection import MOST, least_above
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper, exact_order_statistic


@dataclass(frozen=True)
class Answering:
    """The condition of the theorem; see the module.

    Args:
        n: number of outputs that rank the candidates, and of fresh ones.
        candidates: C.
        needed: K, the number of n fresh outputs with which a center is accepted; n + 1 if none suffices.
        alpha3: probability that the statement is false. In (0, 1).

    Examples:
        >>> from smoothing import Gaussian
        >>> answering = Answering(n=4000, candidates=1000, needed=2082, alpha3=0.006)
        >>> answering.rank, round(answering.mass, 3), round(answering.share, 4)  # K', P, s
        (2329, 0.606, 0.0069)
        >>> held = np.repeat([100, 3950], [500, 500])
        >>> [answering.surely(held, eps, Gaussian(sigma=0.5)) for eps in (0.5, 1.0)]
        [True, False]
    """

    n: int
    candidates: int
    needed: int
    alpha3: float

    @property
    def level(self) -> float:
        """The level of each of the six statements."""
        return self.alpha3 / 6

    @cached_property
    def rank(self) -> int:
        """K': how many of the n outputs the ball of a chosen center holds; n + 1 if there is no such number."""
        good = clopper_pearson_upper(self.needed - 1, self.n, self.level)
        return exact_order_statistic(good, self.n, self.level / self.candidates) or self.n + 1

    @cached_property
    def mass(self) -> float:
        """P: the mass at x' of a ball that surely holds K' of n outputs; 1 if there is no K'."""
        return clopper_pearson_upper(self.rank - 1, self.n, self.level)

    @cached_property
    def share(self) -> float:
        """s: the mass at x' of a set that surely has one of the C candidates."""
        return clopper_pearson_upper(0, self.candidates, self.level)

    def least_held(self, eps: float, noise: Noise) -> int | None:
        """K_M: how many of the n outputs at x show that a ball holds mass M there; None if n are too few."""
        return exact_order_statistic(noise.mass(self.mass, eps), self.n, self.level / self.candidates)

    def surely(self, held: NDArray[np.int64], eps: float, noise: Noise) -> bool:
        """Whether f_hat surely answers at every x' within eps.

        Args:
            held: for each candidate at x, how many of the n outputs lie within rho, (candidates,).
            eps: input radius, in the noise's threat norm and the units of x, >= 0.
            noise: the smoothing distribution.
        """
        if (least := self.least_held(eps, noise)) is None:
            return False
        judged = int((held >= least).sum())
        return clopper_pearson_lower(judged, self.candidates, self.level) >= noise.mass(self.share, eps)

    def possible(self, eps: float, noise: Noise) -> bool:
        """Whether the best draws would show that f_hat answers within eps."""
        return self.surely(np.full(self.candidates, self.n), eps, noise)

    def enough_candidates(self, eps: float, noise: Noise) -> bool:
        """Whether they are enough if n is."""
        most = clopper_pearson_lower(self.candidates, self.candidates, self.level)
        return most >= noise.mass(self.share, eps)


def require_possible(of: Callable[[int, int], Answering], n: int, candidates: int, eps: float, noise: Noise) -> None:
    """Raise SettingError if so few samples never show that f_hat answers within eps. The message says how many do.

    Args:
        of: the condition for each n and number of candidates.
        n: the run's n.
        candidates: the run's number of candidates.
        eps: the largest input radius.
        noise: the smoothing distribution.

    Examples:
        >>> from smoothing import Gaussian
        >>> def of(n, candidates):
        ...     return Answering(n, candidates, needed=3 * n // 4, alpha3=0.006)
        >>> require_possible(of, 400, 20, eps=1.0, noise=Gaussian(sigma=0.5))
        Traceback (most recent call last):
            ...
        smoothing.errors.SettingError: certifier.candidates: 20 never show that f_hat answers within eps=1 under ...
    """
    never = f"never show that f_hat answers within eps={eps:g} under {noise}"
    if not of(n, candidates).enough_candidates(eps, noise):
        enough = _enough(candidates, lambda count: of(n, count).enough_candidates(eps, noise))
        raise SettingError(f"certifier.candidates: {candidates} {never}; {enough}, or set certifier.alpha3=null")
    if not of(n, candidates).possible(eps, noise):
        enough = _enough(n, lambda count: of(count, candidates).possible(eps, noise))
        raise SettingError(f"certifier.n: {n} samples {never}; {enough}, or set certifier.alpha3=null")


def _enough(low: int, do: Callable[[int], bool]) -> str:
    """A number above `low` that will do, in words. One less will not."""
    least = least_above(low, do, MOST)
    return "no number would do" if least is None else f"{least} would do"
