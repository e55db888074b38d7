"""A hash of the user's own code that a `_target_` uses, for the identity of a run.

It covers the statement that defines the class or function, and every top-level statement that this one refers to,
directly or indirectly: base classes, decorators, functions and constants, also in the user's other modules. Libraries
and the suite are not followed, because run.json records the versions of the main libraries and the suite's commit. For
a library's own class, only its module is hashed. Names that are looked up as text are missed.
"""

import ast
import hashlib
import importlib.util
import sys
import sysconfig
import tokenize
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import smoothing
from experiments.config.targets import ROOT, located
from smoothing import SettingError

SUITE = tuple(path.resolve() for path in (Path(smoothing.__file__).parent, Path(__file__).parents[1], ROOT / "models"))
LIBRARIES = tuple(
    Path(sysconfig.get_paths()[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
ALL = "*"
WEIGHTS = "weights.safetensors"  # in the folder of a checkpoint


def is_suites(target: str) -> bool:
    """Whether a class or function is defined in this suite, whatever module it is imported from."""
    thing = located(target)
    file = _file(getattr(thing, "__module__", None) or type(thing).__module__)
    return file is not None and _in_suite(file)


def targets(node: Any) -> list[str]:
    """All `_target_` values in a group, including nested ones."""
    if isinstance(node, list):
        return [target for each in node for target in targets(each)]
    if not isinstance(node, dict):
        return []
    own = [node["_target_"]] if isinstance(node.get("_target_"), str) else []
    return own + [target for value in node.values() for target in targets(value)]


def code_hash(node: dict[str, Any]) -> str:
    """Hash of the user's code that a group uses; empty if it uses only the suite's.

    Raises:
        SettingError: the code is not in a file.
    """
    users = [target for target in targets(node) if not is_suites(target)]
    if not users:
        return ""
    found: dict[str, str] = {}
    for target in users:
        module, name = _origin(target)
        if _file(module) is None:
            raise SettingError(
                f"{target}: expected code in a file, so that it can be hashed for the run's identity; save it in a file"
            )
        found |= _sources(module, name)
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]


def file_hashes(node: dict[str, Any]) -> dict[str, str]:
    """Hashes of the files that a group's arguments name, by argument, so that a changed file changes the identity.

    A checkpoint's folder stands for its weights.
    """
    found: dict[str, str] = {}
    for key, value in node.items():
        if isinstance(value, dict | list):
            inner = value if isinstance(value, dict) else {str(k): each for k, each in enumerate(value)}
            found |= {f"{key}.{name}": content for name, content in file_hashes(inner).items()}
        elif isinstance(value, str) and key != "_target_" and value:
            weights = str(Path(value) / WEIGHTS)
            if path := next((path for path in (value, weights) if _is_file(path)), None):
                with Path(path).open("rb") as file:
                    found[key] = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return found


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # the name is too long or holds a zero byte
        return False


def _origin(target: str) -> tuple[str, str]:
    """The module of a dotted name, and the name in it; for a library's class, the module that defines it."""
    parts = target.split(".")
    at = next(k for k in range(len(parts) - 1, 0, -1) if ".".join(parts[:k]) in sys.modules)
    module, file = ".".join(parts[:at]), _file(".".join(parts[:at]))
    if file is None or not _in_library(file):
        return module, parts[at]
    thing = located(target)
    return getattr(thing, "__module__", None) or module, getattr(thing, "__name__", parts[at])


def _sources(start: str, name: str) -> dict[str, str]:
    """The source of a name in a module and of all names that it refers to, by module and name."""
    found: dict[str, str] = {}
    read: dict[str, tuple[list[str], list[ast.stmt]]] = {}
    waiting, seen = [(start, name)], set[tuple[str, str]]()
    while waiting:
        module, name = place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        file = _file(module)
        if file is None and _is_namespace(module) and name != ALL:
            waiting.append((f"{module}.{name}", ALL))  # only modules are in it
        if file is None or _in_suite(file) or (_in_library(file) and module != start):
            continue
        if file.suffix != ".py":  # compiled
            found[module] = hashlib.sha256(file.read_bytes()).hexdigest()
            continue
        if module not in read:
            read[module] = _parsed(file)
        lines, top = read[module]
        statements = [each for each in top if name == ALL or name in _bound(each)]
        statements = statements or [each for each in top if ALL in _bound(each)]  # from somewhere import *
        found[f"{module}:{name}"] = "\n".join(_text(lines, each) for each in statements)
        for each in statements:
            waiting += [(module, node.id) for node in ast.walk(each) if isinstance(node, ast.Name)]
            waiting += _imported(each, module)
        if not statements and file.name == "__init__.py":
            waiting.append((f"{module}.{name}", ALL))  # maybe a module of the package
    return found


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a top-level statement defines; for anything but a definition, all names in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names


def _imported(statement: ast.stmt, module: str) -> list[tuple[str, str]]:
    """The modules and names that a statement imports, at any depth."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            found += [(alias.name, ALL) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module if _is_package(module) else module.rpartition(".")[0]
            origin = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            name = ".".join([*origin, *([node.module] if node.module else [])])
            found += [(name, alias.name) for alias in node.names]
    return found


def _parsed(file: Path) -> tuple[list[str], list[ast.stmt]]:
    """The lines of a source file, decoded and divided as Python does, and its top-level statements.

    `str.splitlines` would also divide at other characters, such as a form feed, unlike the parser's line numbers.
    """
    with tokenize.open(file) as opened:
        source = opened.read()
    return source.split("\n"), ast.parse(source).body


def _text(lines: list[str], statement: ast.stmt) -> str:
    """A statement's lines, including its decorators."""
    decorators = getattr(statement, "decorator_list", [])
    first = min(node.lineno for node in (statement, *decorators))
    return "\n".join(lines[first - 1 : statement.end_lineno])


def _file(module: str) -> Path | None:
    """The file of a module, imported or not; None if it has none."""
    if module in sys.modules:
        name = getattr(sys.modules[module], "__file__", None)
    else:
        spec = _spec(module)
        name = spec.origin if spec else None
    return Path(name).resolve() if name and Path(name).is_file() else None


def _is_namespace(module: str) -> bool:
    """Whether a module without a file is a folder of modules, a package without __init__.py."""
    if module in sys.modules:
        return hasattr(sys.modules[module], "__path__")
    spec = _spec(module)
    return spec is not None and spec.submodule_search_locations is not None


def _spec(module: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(module)
    except (ImportError, AttributeError, ValueError):
        return None


def _is_package(module: str) -> bool:
    file = _file(module)
    return file is not None and file.name == "__init__.py"


def _in_suite(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in SUITE)


def _in_library(file: Path) -> bool:
    return any(file.is_relative_to(folder) for folder in LIBRARIES)
