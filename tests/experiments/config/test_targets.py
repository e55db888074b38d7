"""_target_: missing names, failing imports, functions, and arguments of every kind; each mistake gives one line."""

import sys
from pathlib import Path

import pytest

from experiments.config.check import checked_group
from experiments.config.settings import Group
from experiments.config.targets import called
from smoothing import SettingError
from smoothing.noise.base import FiniteNoise

ROOT = Path(__file__).parents[3]
KINDS = """
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Optional, Union

import numpy as np
import torch

if TYPE_CHECKING:
    from nowhere import Thing


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Box:
    side: int = 1
    name: str = "box"


class Kinds:
    def __init__(
        self,
        first, /, untyped,
        mode: Literal["a", "b"] = "a",
        maybe: Optional[int] = None,
        either: Union[int, str] = 3,
        choice: Literal["a", 2] | None = None,
        number: np.float32 = np.float32(2),
        box: Box = Box(3),
        pair: tuple[int, int] = (1, 2),
        colour: Colour = Colour.RED,
        path: Path = Path("x"),
        thing: "Thing" = None,
        layer=torch.nn.ReLU(),
        names: list[str] = ["a"],
    ):
        self.__dict__ |= {k: v for k, v in locals().items() if k != "self"}


class Inherits(Kinds):
    pass


def several(*sizes, bias: bool = True):
    return sizes, bias


def anything(known: int = 1, **others):
    return known, others


value = 3
"""


@pytest.fixture(scope="module", autouse=True)
def kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    (folder / "kinds_of.py").write_text(KINDS)
    (folder / "fails.py").write_text("x = 1\n\nimport not_installed_anywhere\n")
    (folder / "raises.py").write_text("def f():\n    return 1 / 0\n\n\nf()\n")
    (folder / "leaves.py").write_text("import sys\n\nsys.exit(3)\n")
    (folder / "garbled.py").write_text("x = (\n")
    (folder / "halves.py").write_text("import halves\n\nhalves.missing\n")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("fails.Net", r"importing fails\.Net failed: ModuleNotFoundError: No module named 'not_inst.*fails\.py:3\)"),
        ("raises.Net", r"importing raises\.Net failed: ZeroDivisionError: division by zero \(.*raises\.py:2\)"),
        ("leaves.Net", r"importing leaves\.Net failed: SystemExit: 3 \(.*leaves\.py:3\)"),
        ("garbled.Net", r"importing garbled\.Net failed: SyntaxError: .* \(.*garbled\.py:1\)"),
        ("halves.Net", r"importing halves\.Net failed: AttributeError: .*missing.* \(.*halves\.py:3\)"),
        ("nowhere.Net", r"no class nowhere\.Net \(no module nowhere\)"),
        ("kinds_of.Net", r"no class kinds_of\.Net \(kinds_of has no Net\)"),
        ("kinds_of.severl", r"kinds_of has no severl; did you mean kinds_of\.several\?\)"),
        ("kinds_of.Kinds.Net", r"no class kinds_of\.Kinds\.Net \(kinds_of\.Kinds has no Net\)"),
        ("models.nowhere.Net", r"no class models\.nowhere\.Net \(no module models\.nowhere\)"),
        ("kinds_of.value", r"expected a class or a function, got kinds_of\.value, a int"),
        ("kinds_of", r"expected a class or a function, got kinds_of, a module"),
        ("Net", r"no class Net"),
        ("", r"no class .*expected a dotted name"),
        (".models.Net", r"no class .*expected a dotted name"),
        (3, r"expected a dotted name, such as my_models\.Net, got 3"),
        ("builtins.iter", r"the signature of builtins.iter cannot be read|iter"),
    ],
)
def test_what_cannot_be_had_is_one_line(target, said):
    with pytest.raises(SettingError, match=said) as caught:
        checked_group("model", {"_target_": target})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model._target_: ")


def made(name="Kinds", **written):
    node = checked_group("metric", {"_target_": f"kinds_of.{name}", **written})
    return node.as_dict(), node.build()


@pytest.mark.parametrize("name", ["Kinds", "Inherits"])
def test_arguments_of_every_kind_reach_the_class(name):
    node, built = made(name, first=1, untyped=[2], box={"side": 4}, colour="BLUE", path="y/z", number=1.5, mode="b")
    assert (built.first, built.untyped, built.mode, built.maybe, built.either) == (1, [2], "b", None, 3)
    assert (built.box.side, built.box.name, built.colour.name) == (4, "box", "BLUE")
    assert built.path == Path("y/z")
    assert float(built.number) == 1.5
    assert type(built.layer).__name__ == "ReLU"  # its own default, which a configuration cannot hold
    assert "layer" not in node
    import json

    json.dumps(node)
    assert checked_group("metric", node).as_dict() == node  # as in run.json


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"untyped": 1}, r"metric\.first: "),
        ({"first": 1, "untyped": 1, "mode": "c"}, r"metric\.mode: expected one of a, b, got c"),
        ({"first": 1, "untyped": 1, "maybe": "x"}, r"metric\.maybe: "),
        ({"first": 1, "untyped": 1, "colour": "GREEN"}, r"metric\.colour: "),
        ({"first": 1, "untyped": 1, "box": {"size": 3}}, r"metric\.box\.?\w*: "),
        ({"first": 1, "untyped": 1, "maybee": 3}, r"metric\.maybee: no such key; did you mean metric\.maybe"),
    ],
)
def test_what_does_not_fit_is_one_line(written, said):
    with pytest.raises(SettingError, match=said) as caught:
        made(**written)
    assert "\n" not in str(caught.value)


def test_functions():
    assert made("several")[1] == ((), True)
    with pytest.raises(SettingError, match=r"metric\.sizes: no such key; known: bias"):
        made("several", sizes=[1])
    assert made("anything", known=2, more="x", list=[1])[1] == (2, {"more": "x", "list": [1]})


@pytest.mark.parametrize("target", ["", ".Net"])
def test_an_empty_name_is_hidden_by_nothing(target):
    with pytest.raises(
        SettingError, match=r"_target_: no class \S+ \(expected a dotted name, such as my_models.Net\)$"
    ):
        checked_group("model", {"_target_": target})


def test_a_factory_of_torchvisions_is_a_model():
    node = checked_group("model", {"_target_": "torchvision.models.resnet18", "num_classes": 7})
    assert node == Group("torchvision.models.resnet18", {"weights": None, "progress": True, "num_classes": 7})
    assert node.build().fc.out_features == 7


@pytest.mark.long
@pytest.mark.parametrize("name", ["models", "experiments"])
def test_a_module_of_the_users_that_the_suites_hides_is_said(python, tmp_path, name):
    (tmp_path / f"{name}.py").write_text("class Net:\n    pretrained = True\n")
    ended = python("certify.py", f"model._target_={name}.Net", cwd=tmp_path, PYTHONPATH=".")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"hides '{tmp_path / name}.py': move yours into a folder of another name" in ended.stderr
    assert f"write _target_: mine.{name}.Net" in ended.stderr


def test_put_into_a_folder_as_said_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "mine_here").mkdir()
    (tmp_path / "mine_here" / "models.py").write_text("class Net:\n    pretrained = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert checked_group("model", {"_target_": "mine_here.models.Net"})
    assert checked_group("model", {"_target_": "models.face_detector.FaceDetector"})


def test_a_file_where_python_does_not_look_is_said(tmp_path, monkeypatch):
    (tmp_path / "lies_here.py").write_text("class Net:\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", ".")])
    with pytest.raises(
        SettingError, match=r"'lies_here\.py' is in this folder, which Python does not search; set PYTHONPATH=\."
    ):
        checked_group("model", {"_target_": "lies_here.Net"})


class Unfinished(FiniteNoise):
    def copies(self, x, first, count):
        return x.expand(count, *x.shape)


def test_a_class_that_lacks_methods_is_one_line():
    with pytest.raises(SettingError) as caught:
        called(f"{__name__}.Unfinished", {})
    assert str(caught.value) == (
        f"{__name__}.Unfinished: the class must define affected, mass, radius, reach, sample, shift; see "
        "smoothing.noise.base.FiniteNoise, smoothing.noise.base.Noise"
    )
