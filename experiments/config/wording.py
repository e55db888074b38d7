"""OmegaConf's errors about a value, in words that say what was expected and what to type."""

import re
from dataclasses import fields
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from experiments.config import settings
from smoothing.user_code import first_line

KINDS = (  # patterns of OmegaConf's messages, and what was expected
    (r"could not be converted to Float|Incompatible value 'None' for field of type 'float'", "a number"),
    (r"could not be converted to Integer|Incompatible value 'None' for field of type 'int'", "a whole number"),
    (r"is not a valid bool|Incompatible value 'None' for field of type 'bool'", "true or false"),
    (r"Cannot convert .* to string|Incompatible value 'None' for field of type 'str'", "text"),
)


def worded(error: OmegaConfBaseException, key: str) -> str:
    """The message for an error about the value of a key, without the key.

    Args:
        error: the error.
        key: the full key, such as noise.sigma.
    """
    first = first_line(error)
    if isinstance(error, MissingMandatoryValue):
        return "it has no default; type a value"
    if found := re.match(r"Interpolation key '(.*)' not found", first):
        return f"it depends on {found[1]}, which is not set; type a value"
    if kind := next((kind for pattern, kind in KINDS if re.search(pattern, first)), ""):
        return f"expected {kind}, got {_shown(error.value)}{_instead(error.value, kind)}"
    if "is not a ListConfig, list or tuple" in first:
        return f"expected a list, got {_shown(error.value)}; write {key}=[{error.value}]"
    if found := re.match(r"Invalid type assigned: \w+ is not a subclass of (Folder|Figures|Shard)\.", first):
        names = [f"{key}.{field.name}=" for field in fields(getattr(settings, found[1]))]
        return f"expected {' and '.join(names)}, got {_shown(error.value)}"
    return first


def _shown(value: Any) -> str:
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    return "null" if value is None else repr(value)


def _instead(value: Any, kind: str) -> str:
    """End of a message: what to type, if the value is a whole number written as a float, or several numbers."""
    if isinstance(value, float) and kind == "a whole number" and value.is_integer():
        return f"; type {int(value)}"
    if OmegaConf.is_list(value) or isinstance(value, list):
        return "; type one, and -m for several values"
    return ""
