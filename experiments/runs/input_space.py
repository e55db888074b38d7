"""The space that input radii are measured in: its norm and its units. run.json records both, for axis titles.

So a figure needs neither the noise's class nor the data set's, which may be a user's own on another machine.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import smoothing
from experiments.config.targets import located
from smoothing import SmoothingError

KEY = "input"  # in run.json


@dataclass(frozen=True)
class InputSpace:
    """Norm and units of input radii.

    Attributes:
        norm: the noise's threat norm, such as "l2". Empty if there is no noise, or it is not known.
        units: units of input radii: those of the noise, such as "pixels" for l0, or those of the inputs' numbers, such
            as "pixels in [0, 1]". Empty if the data set states none.
    """

    norm: str = ""
    units: str = ""

    @classmethod
    def of(cls, noise: Any, dataset: Any, model: Any) -> Self:
        """From a run's noise, data set and model, as objects or classes.

        If the model's inputs are measurements of the examples, the model states the units.
        """
        measured = model if hasattr(model, "measure") else dataset
        return cls(_text(noise, "threat_norm"), _text(noise, "radius_units") or _text(measured, "units"))

    def record(self) -> dict[str, Any]:
        """What to add to run.json."""
        return {KEY: asdict(self)} if self.norm or self.units else {}


def input_space(record: dict[str, Any]) -> InputSpace:
    """The space of a run, from its run.json. For earlier runs, which do not record it, from the classes that it names.

    Args:
        record: the content of run.json.
    """
    if isinstance(found := record.get(KEY), dict):
        own = _text(_class(record, "noise"), "radius_units")  # earlier runs against l0 recorded the units of the images
        return InputSpace(_of(found, "norm"), own or _of(found, "units"))
    return InputSpace.of(*(_class(record, group) for group in ("noise", "dataset", "model")))


def _class(record: dict[str, Any], group: str) -> Any:
    """The class of a group; None if it cannot be imported, such as a user's class from another machine."""
    target = ((record.get("config") or {}).get(group) or {}).get("_target_", "")
    try:
        return located(target)
    except SmoothingError:
        named = (record["identity"].get(group) or {}).get("type", "")
        return getattr(smoothing, named, None)


def _text(thing: Any, name: str) -> str:
    found = getattr(thing, name, "")
    return found if isinstance(found, str) else ""


def _of(found: dict[str, Any], name: str) -> str:
    return str(found.get(name) or "")
