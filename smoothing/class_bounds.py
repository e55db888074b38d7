"""Joint confidence bounds on the probabilities of class A and of every other class, from counts. Pure functions.

The certified radius grows with the gap between p_A and p_B, the largest probability of another class. Cohen et al.
(2019) bound p_A alone and use p_B <= 1 - p_A ("complement"). Where several classes share the rest, p_B is far smaller.
"bounded" spends half of alpha on p_A, and the other half on all C - 1 other classes in equal parts. By the union bound
all C statements hold together with probability at least 1 - alpha. An upper bound increases with the count, so the
largest one is that of the largest count n_b. How alpha is split does not depend on the counts.
"""

from dataclasses import dataclass

from smoothing import randomised
from smoothing.errors import SettingError
from smoothing.rounding import down, up
from smoothing.statistics import clopper_pearson_lower, clopper_pearson_upper

RUNNER_UP = ("complement", "bounded")
BOUNDS = ("exact", "randomised")


@dataclass(frozen=True)
class ClassBounds:
    """How the probabilities of the classes are bounded.

    Args:
        alpha: probability that one of the bounds is false, in (0, 1).
        runner_up: "complement", p_B <= 1 - p_A, as in the paper; or "bounded", an upper bound for each other class.
            With two classes the complement is as good, so it is used.
        bound: "exact", Clopper and Pearson; or "randomised", with one uniform number (`randomised`).

    Raises:
        SettingError: an argument is unknown.

    Examples:
        >>> bounds = ClassBounds(alpha=0.001)
        >>> tuple(round(p, 4) for p in bounds.at(n_a=600, n_b=50, n=1000, classes=10))
        (0.5511, 0.4489)
        >>> bounds = ClassBounds(alpha=0.001, runner_up="bounded")
        >>> tuple(round(p, 4) for p in bounds.at(n_a=600, n_b=50, n=1000, classes=10))
        (0.5479, 0.082)
    """

    alpha: float
    runner_up: str = "complement"
    bound: str = "exact"

    def __post_init__(self) -> None:
        for name, known in (("runner_up", RUNNER_UP), ("bound", BOUNDS)):
            if getattr(self, name) not in known:
                raise SettingError(f"certifier.{name}: expected {' or '.join(known)}, got {getattr(self, name)}")

    @property
    def level(self) -> float:
        """The part of alpha that the bound on p_A may use when there are more than two classes."""
        return self.levels(3)[0]

    def levels(self, classes: int) -> tuple[float, float]:
        """Error probabilities of the bound on p_A, and of the bound on each other class: (alpha, 0) for complement.

        Examples:
            >>> ClassBounds(alpha=0.001, runner_up="bounded").levels(classes=6)
            (0.0005, 0.0001)
        """
        if self.runner_up == "complement" or classes <= 2:
            return self.alpha, 0.0
        return self.alpha / 2, self.alpha / (2 * (classes - 1))

    def at(self, n_a: int, n_b: int, n: int, classes: int, u: float = 1.0) -> tuple[float, float]:
        """A lower bound on p_A and an upper bound on every other class's probability.

        Args:
            n_a: samples of class A, which was chosen by other samples.
            n_b: the largest count of another class.
            n: number of samples.
            classes: number of classes C that f distinguishes.
            u: the uniform number of bound=randomised.

        Raises:
            SettingError: a count is out of range.
        """
        u = u if self.bound == "randomised" else 1.0
        own, others = self.levels(classes)
        p_lower = randomised.lower(n_a, n, own, u) if u < 1 else clopper_pearson_lower(n_a, n, own)
        rest = min(1.0, up(1 - p_lower))
        if not others:
            return p_lower, rest
        others = down(others)
        p_upper = randomised.upper(n_b, n, others, u) if u < 1 else clopper_pearson_upper(n_b, n, others)
        return p_lower, min(p_upper, rest)
