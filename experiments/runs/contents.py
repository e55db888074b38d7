"""Hashes of the weights, examples and classes behind a run's rows, which the settings do not determine.

A run compares them with those in its folder's run.json. A difference in weights, examples, classes or the metric is
refused, because rows would be mixed. A changed source of the user's model only prints a warning, because even a comment
changes it. The hashes are not part of the identity, so that earlier runs, which did not record them, still resume.
"""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smoothing import SmoothingError


@dataclass(frozen=True)
class Contents:
    """Hashes and class names. A field is empty if it does not apply.

    Attributes:
        weights: hash of the weights of a model that brings its own.
        examples: `Dataset.contents`, else a hash of the first, middle and last example and all labels. Empty if the
            data set's fingerprint is part of the identity.
        classes: names of the classes, in the order of the labels.
        code: hash of the source of the user's model.
        metric: hash of the numbers that the metric holds, such as the weights of a network.
    """

    weights: str = ""
    examples: str = ""
    classes: list[str] = field(default_factory=list)
    code: str = ""
    metric: str = ""

    def record(self) -> dict[str, Any]:
        """The nonempty fields, for run.json."""
        return {name: value for name, value in asdict(self).items() if value}

    def require_those_of(self, record: dict[str, Any], path: Path) -> None:
        """Compare the fields that a run.json also has. Raises SmoothingError if rows would be mixed."""
        another = {
            "weights": "other weights of the model (or other code, if it has none)",
            "examples": "other examples: the data set's images or labels have changed",
            "classes": "other classes, or classes in another order",
            "metric": "another metric: the numbers that it holds, such as weights, have changed",
        }
        for name, value in self.record().items():
            if record.get(name, value) == value:
                continue
            if name in another:
                raise SmoothingError(
                    f"{path}: its rows are of {another[name]}; move the folder away, or set another results.root"
                )
            print(
                f"{path}: the source of the model has changed since its rows were made; if the model now computes "
                "something else, set another results.root",
                file=sys.stderr,
            )
