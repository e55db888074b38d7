"""Write the tables of numbers in `DOCUMENTS` anew: `python -m experiments.documents`.

A table stands between the comments `<!-- table: <name> -->` and `<!-- end of table -->`. One function computes it from
the committed results. The other text is written by hand.
"""

import re
from collections.abc import Callable
from types import ModuleType

from experiments.config.command_line import CONF
from experiments.documents import balanced, center, classifiers, deterministic, intervals, ours, sets, status, training

NAMES = ("docs/results.md", "docs/balanced.md", "experiments/papers/training/README.md")
DOCUMENTS = tuple(CONF.parent / name for name in NAMES)
MODULES = (balanced, center, classifiers, deterministic, intervals, ours, sets, status, training)
MARKED = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(\n<!-- end of table -->)", re.DOTALL)


def functions(module: ModuleType) -> dict[str, Callable[[], str]]:
    """The functions of a module that compute a table, by name."""
    names = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return {name: getattr(module, name) for name in names if not name.startswith("_")}


TABLES = {name: function for module in MODULES for name, function in functions(module).items()}


def page(document: str) -> str:
    """The document with each of its tables computed anew."""
    return MARKED.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}{found[4]}", document)


def write() -> None:
    for path in DOCUMENTS:
        path.write_text(page(path.read_text()))


if __name__ == "__main__":
    write()
