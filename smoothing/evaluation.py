"""How a base function is evaluated: the arguments that every smoothed function has besides its own."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self, TypedDict

from smoothing.arguments import whole_number
from smoothing.arithmetic import Precision
from smoothing.errors import SettingError


class EvaluationOptions(TypedDict, total=False):
    """The keyword arguments of an `Evaluation`, for signatures: `**evaluation: Unpack[EvaluationOptions]`."""

    seed: int
    batch_size: int | None
    precision: Precision
    compiled: bool
    on_samples: Callable[[int], None]


def unnoticed(count: int) -> None:
    """The default of on_samples, which does nothing. It can be pickled."""


@dataclass(frozen=True)
class Evaluation:
    """How a base function is evaluated.

    Args:
        seed: every sample is a function of (seed, example, stage, sample number).
        batch_size: noisy inputs that f sees at once, >= 1; None: the fastest on this device. It changes no sample.
        precision: arithmetic of f: "float32", "tf32" or "bfloat16". It is part of what is certified.
        compiled: whether `torch.compile` makes f's kernels. It is part of what is certified.
        on_samples: called after each batch with the number of noisy inputs in it.

    Raises:
        SettingError: seed or batch_size is out of its range. `FrozenFunction` checks the precision.
    """

    seed: int = 0
    batch_size: int | None = 128
    precision: Precision = "float32"
    compiled: bool = False
    on_samples: Callable[[int], None] = unnoticed

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_number("seed", self.seed))
        if self.batch_size is not None:
            object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size, 1))

    @classmethod
    def of(cls, **options: Any) -> Self:
        """An evaluation from keyword arguments. Raises SettingError for a name that is none of them."""
        known = [field.name for field in fields(cls)]
        if unknown := sorted(options.keys() - known):
            raise SettingError(f"{unknown[0]}: no such argument; these say how f is evaluated: {', '.join(known)}")
        return cls(**options)
