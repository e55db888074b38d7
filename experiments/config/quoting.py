"""Quotes folders and labels on the command line that Hydra's grammar refuses, such as run folders with = in them."""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

ELEMENT = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)""")


def quoted(word: str, keys: Sequence[str]) -> str:
    """An override as Hydra can read it. A value of one of `keys`, or each element of its list, is quoted if needed.

    So are folders below the home folder, such as ~/photos, of any key: Hydra reads no ~ that is not quoted.

    Args:
        word: such as source=[results/a,results/b/sigma=0.5-1d4a].
        keys: keys whose values are text.
    """
    key, equals, value = word.partition("=")
    inside = value.strip()
    text = key.lstrip("+") in keys or inside.startswith(("~/", "[~/"))
    if not text or not equals or _parses(word):
        return word
    if inside.startswith("~/"):  # ~/a,~/b is a sweep
        return f"{key}={','.join(_quoted(part) for part in inside.split(','))}"
    if not (inside.startswith("[") and inside.endswith("]")):
        return f"{key}={_quoted(inside)}"
    elements = [found[1].strip() for found in ELEMENT.finditer(inside[1:-1])]
    return f"{key}=[{','.join(_quoted(element) for element in elements if element)}]"


def _quoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", text).replace("'", "\\'")
    return f"'{escaped}'"


def _parses(word: str) -> bool:
    try:
        OverridesParser.create().parse_override(word).value()
    except HydraException:
        return False
    return True
