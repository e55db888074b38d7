"""The contract of certifiers: what a run needs to certify a data set and to write its table.

A new certifier is one class, derived from `Smoothed` and `Certifier`, and one YAML file. The run builds the object,
passes it one example at a time, and writes a row for each statement.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from smoothing.base_function import FrozenFunction
from smoothing.engine import Engine
from smoothing.errors import SettingError
from smoothing.fixed import Fixed
from smoothing.noise import Noise
from smoothing.sampling import Procedure


class Certifier(Fixed):
    """A smoothed function with its settings fixed.

    A statement is a dataclass, such as `ClassificationCertificate`. Its fields fill the columns with the same names.

    Class attributes:
        columns: columns of the table, in order. The run fills index (of the example), label, predict (the statement's
            `prediction`), correct (predict equals label) and seconds. The statement's fields fill the others.
        shown: columns shown in a terminal.
        younger: trailing columns that were added later. Older tables lack them.
        case: column that distinguishes the rows of one example; empty if an example has one row.
        needs_labels: whether examples must have labels.
        draws: dataclass of an example's draws, which the run stores in a file for later statements; None if the rows
            contain everything that was drawn.
        rereadable: settings that the samples do not depend on, such as alpha: rows or draws can be read again with
            other values. Not inherited, because a subclass may sample in another way.

    Attributes:
        f: the base function.
        engine: evaluates f.
        noise: the smoothing distribution; None if f is not smoothed.
    """

    columns: ClassVar[tuple[str, ...]]
    shown: ClassVar[tuple[str, ...]]
    younger: ClassVar[tuple[str, ...]] = ()
    case: ClassVar[str] = ""
    needs_labels: ClassVar[bool] = True
    draws: ClassVar[type | None] = None
    rereadable: ClassVar[tuple[str, ...]] = ()

    f: FrozenFunction
    engine: Engine
    noise: Noise  # None under DeepFool

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        cls.rereadable = vars(cls).get("rereadable", ())

    @property
    @abstractmethod
    def samples(self) -> int:
        """The most noisy inputs that one example takes; 0 if it takes none."""

    @abstractmethod
    def procedure(self, x: Tensor, example: int, label: int) -> Procedure[Any]:
        """Draw everything that the statements on an example need.

        Args:
            x: one input, (*input shape), floating-point, on f's device.
            example: number of the streams of samples to use.
            label: the example's class; -1 if it has none. A statement must not depend on it. It may only be used to
                skip work on an example that cannot count as correct.
        """

    def cases(self, eps: Any) -> list[float]:
        """The values of the column `case`, in order. Raises SettingError if one can never be certified.

        Args:
            eps: input radii of the run: a number or several.
        """
        return []

    def statements(self, drawn: Any, cases: list[float]) -> list[Any]:
        """The statements on an example, one for each case, or a single one if there are no cases."""
        return [drawn]

    def read_again(self, row: Mapping[str, Any]) -> Any:
        """The statement for a stored row's counts under this certifier's settings, without sampling.

        Raises:
            SettingError: the row does not contain enough.
        """
        raise SettingError(f"certifier: rows of {type(self).__name__} cannot be read again; certify the examples again")

    def suffices(self, drawn: Any) -> bool:
        """Whether draws that were made under other `rereadable` settings hold all that the statements need."""
        return True

    @property
    def announcement(self) -> str:
        """A message before the first example; empty for none."""
        return ""

    @classmethod
    def settled(cls, arguments: dict[str, Any], eps: Any, noise: Noise) -> tuple[dict[str, Any], str]:
        """The constructor's arguments, with those filled in that depend on the run's eps.

        Returns:
            The arguments, and a message about them; empty for none.
        """
        return arguments, ""

    @classmethod
    def evaluations(cls, row: Mapping[str, Any], settings: Mapping[str, Any]) -> int | None:
        """The number of noisy inputs that an example took; None if its rows do not say.

        Args:
            row: the example's first row.
            settings: the certifier's arguments.
        """
        return int(row["n"]) if "n" in row else None


class Calibrated(Certifier):
    """A certifier whose statements also rest on labelled examples that are kept apart: the calibration examples.

    The run chooses `held_out` examples of the data set at random, by its seed, and certifies none of them. It runs
    `calibrating` on each, writes the result as a row of calibration.csv, and passes all rows to `calibrate` before it
    certifies the others.

    Class attributes:
        calibration_columns: columns of calibration.csv. The run fills index and label; the fields of the dataclass that
            `calibrating` returns fill the others.

    Attributes:
        held_out: number of calibration examples.
    """

    calibration_columns: ClassVar[tuple[str, ...]]

    held_out: int

    @abstractmethod
    def calibrating(self, x: Tensor, example: int, label: int) -> Procedure[Any]:
        """What one calibration example gives: a dataclass of numbers. Arguments as for `procedure`."""

    @abstractmethod
    def calibrate(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Use the rows of all calibration examples. Raises SettingError if they are too few."""
