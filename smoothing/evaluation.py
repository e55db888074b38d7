"""How a base function is evaluated: what every smoothed function takes beside its own settings."""

import difflib
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
        SettingError: an argument is out of its range.
    """

    seed: int = 0
    batch_size: int | None = 128
    precision: Precision = "float32"
    compiled: bool = False
    on_samples: Callable[[int], None] = lambda count: None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", whole_number("seed", self.seed))
        if self.batch_size is not None:
            object.__setattr__(self, "batch_size", whole_number("batch_size", self.batch_size, 1))

    @classmethod
    def of(cls, **options: Any) -> Self:
        """An evaluation from keyword arguments. Raises SettingError for a name that is none of them."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                raise SettingError(f"{name}: no such argument; " + (f"did you mean {close[0]}?" if close else ""))
        return cls(**options)
