"""What a run's rows are about and its settings do not say: compared where both a run and its folder know it.

It is no part of the identity's hash, so that runs from before it was kept are continued. Other weights, examples or
classes are refused: their rows would be mixed. Another source of the user's model is only said, as a comment is one.
"""

import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smoothing import SmoothingError


@dataclass(frozen=True)
class Contents:
    """Hashes and names, empty where there is nothing to tell.

    Attributes:
        weights: of a model that brings its own.
        examples: what the data set says of itself (`Dataset.contents`), else the first, middle and last example and all
            labels. Empty where its fingerprint is part of the identity.
        classes: their names, in order of the labels.
        code: of the source of the user's model.
    """

    weights: str = ""
    examples: str = ""
    classes: list[str] = field(default_factory=list)
    code: str = ""

    def record(self) -> dict[str, Any]:
        """For run.json."""
        return {name: value for name, value in asdict(self).items() if value}

    def require_those_of(self, record: dict[str, Any], path: Path) -> None:
        """Compare with a run.json, where both know a thing. Raises SmoothingError where rows would be mixed."""
        another = {
            "weights": "other weights of the model",
            "examples": "other examples: the data set's images or labels have changed",
            "classes": "other classes, or in another order",
        }
        for name, value in self.record().items():
            if record.get(name, value) == value:
                continue
            if name in another:
                raise SmoothingError(
                    f"{path}: its rows are of {another[name]}; move the folder away, or take another results.root"
                )
            print(
                f"{path}: the source of the model has changed since its rows were made; if it computes something else, "
                "take another results.root",
                file=sys.stderr,
            )
