"""A run's identity covers the user's own code: its name, its source and all code that it refers to."""

import sys

import pytest

from experiments.config.check import checked_group
from experiments.config.identity import description
from experiments.config.user_code import code_hash, is_suites
from smoothing import SettingError

METRIC = """
import numpy as np
from smoothing import L2 as TheirL2
from {package}.scales import SCALE, scaled
from . import tables

TABLE = np.array([1.0, 2.0])
OTHER = 3


def twice(x):
    return 2 * x


def kept(cls):
    return cls


class Base(TheirL2):
    def _distance(self, a, b):
        return twice(super()._distance(a, b)) * TABLE[0]


@kept
class L2(Base):
    weight = SCALE

    def _distance(self, a, b):
        return scaled(super()._distance(a, b)) * tables.ROWS


class Unrelated:
    value = OTHER


def made(span: float = 1.0, **others):
    return L2()
"""


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """A user's package with a metric that depends on other code. Returns (its name, edit(file, old, new))."""
    name = "mine_" + str(abs(hash(request.node.name)))
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "metric.py").write_text(METRIC.format(package=name))
    (folder / "scales.py").write_text("SCALE = 1.5\nUNUSED = 1\n\n\ndef scaled(x):\n    return SCALE * x\n")
    (folder / "tables.py").write_text("ROWS = 4\n")
    monkeypatch.syspath_prepend(tmp_path)

    def edit(file, old, new):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    yield name, edit
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.mark.parametrize("target", ["metric.L2", "metric.made"])
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metric.py", "scaled(super()._distance(a, b)) *", "10 * scaled(super()._distance(a, b)) *"),
        ("metric.py", "twice(super()._distance(a, b))", "super()._distance(a, b)"),  # its base class
        ("metric.py", "return 2 * x", "return 3 * x"),  # a function that the base calls
        ("metric.py", "[1.0, 2.0]", "[1.0, 2.5]"),  # a constant
        ("metric.py", "    return cls", "    cls._distance = None\n    return cls"),  # a decorator
        ("scales.py", "SCALE = 1.5", "SCALE = 15"),  # a constant of another module
        ("scales.py", "return SCALE * x", "return x"),  # a function of another module
        ("tables.py", "ROWS = 4", "ROWS = 5"),  # used by its module's name
        ("metric.py", "class Unrelated", "L2._distance = Base._distance\n\n\nclass Unrelated"),  # patched
    ],
)
def test_an_edit_of_anything_that_it_rests_on_is_another_code(package, target, file, old, new):
    name, edit = package
    node = {"_target_": f"{name}.{target}"}
    before = code_hash(node)
    edit(file, old, new)
    assert code_hash(node) != before


@pytest.mark.parametrize(
    "line", ["from {package} import scales", "from . import scales", "import {package}.scales as scales"]
)
def test_a_package_without_an_init_file_is_followed(package, tmp_path, line):
    name, edit = package
    (tmp_path / name / "__init__.py").unlink()
    (tmp_path / name / "noise.py").write_text(f"{line}\n\nclass Mine:\n    size = scales.SCALE\n".format(package=name))
    node = {"_target_": f"{name}.noise.Mine"}
    before = code_hash(node)
    edit("scales.py", "SCALE = 1.5", "SCALE = 15")
    assert code_hash(node) != before


@pytest.mark.parametrize("mark", ["\f", "\v", "\x85", "\u2028"])
def test_lines_end_where_python_ends_them(package, tmp_path, mark):
    name, _ = package
    file = tmp_path / name / "lines.py"
    text = f"TEXT = 'a{mark}b'\nMORE = '{mark}{mark}'\n\n\ndef made(x):\n    return 2 * x\n\n\nEND = 0\n"
    file.write_text(text, "utf-8")
    node = {"_target_": f"{name}.lines.made"}
    before = code_hash(node)
    file.write_text(text.replace("2 * x", "3 * x"), "utf-8")
    assert code_hash(node) != before


def test_a_source_file_may_have_another_encoding(package, tmp_path):
    name, _ = package
    file = tmp_path / name / "latin.py"
    text = "# -*- coding: latin-1 -*-\ndef made(x):\n    return 'é'\n"
    file.write_bytes(text.encode("latin-1"))
    node = {"_target_": f"{name}.latin.made"}
    before = code_hash(node)
    file.write_bytes(text.replace("é", "è").encode("latin-1"))
    assert code_hash(node) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metric.py", "OTHER = 3", "OTHER = 4"),
        ("metric.py", "    value = OTHER", "    value = 7"),
        ("scales.py", "UNUSED = 1", "UNUSED = 2"),
    ],
)
def test_other_code_of_the_same_file_is_none_of_it(package, file, old, new):
    name, edit = package
    node = {"_target_": f"{name}.metric.L2"}
    before = code_hash(node)
    edit(file, old, new)
    assert code_hash(node) == before


def test_a_name_of_the_users_is_not_the_suites(package):
    name, _ = package
    suites, users = {"_target_": "smoothing.L2"}, {"_target_": f"{name}.metric.L2"}
    assert description(checked_group("metric", suites))["type"] == "L2"
    assert "code" not in description(checked_group("metric", suites))
    described = description(checked_group("metric", users))
    assert described["type"] == f"{name}.metric.L2"
    assert described["code"] == code_hash(users)


def test_the_suites_class_taken_from_elsewhere_is_the_suites(package):
    name, _ = package
    target = {"_target_": f"{name}.metric.TheirL2"}
    assert is_suites(target["_target_"])
    assert description(checked_group("metric", target)) == description(
        checked_group("metric", {"_target_": "smoothing.L2"})
    )


def test_nested_code_counts(package):
    name, edit = package
    node = {"_target_": "models.denoised.Denoised", "classifier": {"_target_": f"{name}.metric.made"}}
    before = code_hash(node)
    edit("tables.py", "ROWS = 4", "ROWS = 5")
    assert code_hash(node) != before
    assert code_hash({"_target_": "models.denoised.Denoised", "classifier": {"_target_": "models.dncnn.DnCNN"}}) == ""


def test_a_library_is_not_read_through():
    assert code_hash({"_target_": "torchvision.models.resnet18"}) == code_hash(
        {"_target_": "torchvision.models.resnet18"}
    )
    assert len(code_hash({"_target_": "torch.nn.Linear"})) == 16


def test_compiled_code_goes_by_its_file(package, tmp_path):
    name, _ = package
    assert code_hash({"_target_": "math.sqrt"}) if getattr(sys.modules["math"], "__file__", None) else True
    file = tmp_path / name / "fast.so"
    file.write_bytes(b"one")
    module = type(sys)(f"{name}.fast")
    module.__file__, module.f = str(file), lambda x: x
    sys.modules[f"{name}.fast"] = module
    before = code_hash({"_target_": f"{name}.fast.f"})
    file.write_bytes(b"two")
    assert code_hash({"_target_": f"{name}.fast.f"}) != before


def test_code_that_is_in_no_file_is_refused(package):
    name, _ = package
    module = type(sys)(f"{name}.typed")
    module.f = lambda x: x
    sys.modules[f"{name}.typed"] = module
    with pytest.raises(SettingError, match=r"typed\.f: expected code in a file"):
        code_hash({"_target_": f"{name}.typed.f"})


def test_a_file_that_an_argument_names_goes_by_its_content(package, tmp_path):
    name, _ = package
    (tmp_path / name / "costs.py").write_text(
        "from smoothing import L2\n\nclass Costs(L2):\n    def __init__(self, costs: str):\n        pass\n"
    )
    costs = tmp_path / "costs.npy"
    costs.write_bytes(b"one")
    node = checked_group("metric", {"_target_": f"{name}.costs.Costs", "costs": str(costs)})
    before = description(node)
    costs.write_bytes(b"two")
    assert description(node) != before
    assert description(node)["costs"] == before["costs"]
