"""The contract of certifiers: what a run must know of one to certify a data set and to write its table.

A new certifier is its mathematics, one class that is a `Smoothed` function and a `Certifier`, and one YAML file. The
run builds it from the YAML file, hands it an example at a time, and writes a row for each statement that it makes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from smoothing.base_function import FrozenFunction
from smoothing.engine import Engine
from smoothing.errors import SettingError
from smoothing.noise import Noise
from smoothing.sampling import Procedure


class Certifier(ABC):
    """A smoothed function with all of its settings, ready for a data set.

    A statement is a dataclass, such as a `ClassificationCertificate`. Its fields fill the columns of their names.

    Class attributes:
        columns: of a row of the table, in order. Beside the statement's fields a run knows: index (of the example),
            label, predict (the statement's `prediction`), correct (predict is the label) and seconds.
        shown: the columns that a summary in a terminal shows.
        younger: the last of the columns that tables of earlier versions lack.
        case: the column that tells the rows of one example apart; empty where an example has one row.
        needs_labels: whether examples must have labels.
        draws: the dataclass of what is drawn for an example, where a run keeps it in a file to read more statements
            from it later; None where the rows hold all that was drawn.

    Attributes:
        f: the base function.
        engine: evaluates it.
        noise: that f is smoothed with; None where f is not.
    """

    columns: ClassVar[tuple[str, ...]]
    shown: ClassVar[tuple[str, ...]]
    younger: ClassVar[tuple[str, ...]] = ()
    case: ClassVar[str] = ""
    needs_labels: ClassVar[bool] = True
    draws: ClassVar[type | None] = None

    f: FrozenFunction
    engine: Engine
    noise: Noise  # None where f is not smoothed, as under DeepFool

    @property
    @abstractmethod
    def samples(self) -> int:
        """The most evaluations of f for one example; 0 where the engine has none to do."""

    @abstractmethod
    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Any]:
        """Draw all that the statements on an example need.

        Args:
            x: one input, (*input shape), floating-point, on f's device.
            example: number of the streams of samples to use.
            label: the example's class; -1 where it has none. A statement may not depend on it, but for leaving out
                work on an example that cannot count as correct.
        """

    def cases(self, eps: Any) -> list[float]:
        """The values of the column `case`, in order. Raises SettingError where one can never be certified.

        Args:
            eps: input radii of the run: a number or several.
        """
        return []

    def statements(self, drawn: Any, cases: list[float]) -> list[Any]:
        """The statements that follow from what was drawn: one for each case; one alone where there are no cases."""
        return [drawn]

    def read_again(self, row: Mapping[str, Any]) -> Any:
        """The statement that a stored row's counts give under this certifier's settings, without sampling.

        Raises:
            SettingError: the row does not hold what is needed.
        """
        raise SettingError(f"certifier: rows of {type(self).__name__} cannot be read again; certify the examples anew")

    @property
    def announcement(self) -> str:
        """What to tell before the first example; empty for nothing."""
        return ""

    @classmethod
    def settled(cls, arguments: dict[str, Any], eps: Any, noise: Noise) -> tuple[dict[str, Any], str]:
        """The arguments of the constructor, once those that follow from the run's eps are computed.

        Returns:
            The arguments, and what to tell about them; empty for nothing.
        """
        return arguments, ""

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        """Evaluations of f that an example took; None where its rows do not tell.

        Args:
            row: its first row.
            settings: the certifier's arguments.
        """
        return int(row["n"]) if "n" in row else None
