"""A run does not resume with other weights, examples or classes; an edit of the model's source prints a warning."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.certifying.certification import certify
from experiments.data import Digits
from experiments.runs.reader import find_runs, unfinished
from experiments.runs.table import read_table
from smoothing import SettingError, SmoothingError

MINE = """
import torch
from experiments.data import Dataset
from smoothing import L2 as TheirL2


class Net(torch.nn.Module):
    pretrained = True

    def __init__(self, weights: str = "") -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.load(weights) if weights else torch.tensor(1.0))

    def forward(self, x):
        return self.scale * x.mean(dim=(1, 2, 3))[:, None].expand(-1, 10)


class Trained(torch.nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.last = torch.nn.Linear(64, num_classes)

    def forward(self, x):
        return self.last(x.flatten(1))


class L2(TheirL2):
    def _distance(self, a, b):
        return 1 * super()._distance(a, b)


class Halved(TheirL2):
    # Its argument has the name of one that data sets have.
    def __init__(self, root: float = 1.0) -> None:
        super().__init__()
        self.root = root

    def _distance(self, a, b):
        return super()._distance(a, b) / self.root


class Weighted(TheirL2):
    # Its weight is a new one in every process.
    def __init__(self) -> None:
        super().__init__()
        self.network = torch.nn.Linear(1, 1)


class Coarse(Net):
    # Its argument has the name of one that noises have.
    def __init__(self, grid: int) -> None:
        super().__init__()
        self.grid = grid

    def forward(self, x):
        return super().forward(x[:, :, :: self.grid, :: self.grid])


class Stored(Dataset):
    def __init__(self, root: str) -> None:
        self.images = torch.load(root, weights_only=True)

    def indices(self):
        return list(range(len(self.images)))

    def __getitem__(self, index):
        return self.images[index]
"""
BARE = """

class Bare(torch.nn.Module):
    pretrained = True

    def forward(self, x):
        return 2.0 * x.mean(dim=(1, 2, 3))[:, None]
"""


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """run(...) certifies with the user's module own_module.py and returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_module.py").write_text(MINE)
    small = ("certifier.n=200", "certifier.m=100", "certifier.delta=0.2", "eps=0.1", "device=cpu", "batch_size=50")
    model = ("dataset=digits", "~model.min_face_size", "model._target_=own_module.Net", "metric=l2", "results.root=r")

    def certified(*more):
        return certify(settings("experiment=demo", *small, *model, *more)).parent

    yield certified
    sys.modules.pop("own_module", None)


def edited(old, new):
    text = Path("own_module.py").read_text()
    assert old in text
    Path("own_module.py").write_text(text.replace(old, new))


def test_an_edited_metric_of_the_users_own_is_another_run(run):
    theirs = run("limit=1")
    own = run("limit=1", "metric._target_=own_module.L2")
    assert own != theirs
    edited("1 * super", "10 * super")
    sys.modules.pop("own_module")
    after = run("limit=1", "metric._target_=own_module.L2")
    assert after != own
    before, tenfold = (read_table(folder)["eps_out"][0] for folder in (own, after))
    assert tenfold == pytest.approx(10 * before, rel=1e-9)


HALVED, COARSE = (
    ("metric._target_=own_module.Halved", "~metric.largest", "~metric.span"),
    ("model._target_=own_module.Coarse",),
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((*HALVED, "+metric.root=1"), (*HALVED, "+metric.root=2")),
        ((*COARSE, "+model.grid=1"), (*COARSE, "+model.grid=2")),
    ],
)
def test_an_argument_with_a_name_that_the_suite_leaves_out_is_part_of_the_identity(run, first, second):
    assert run("limit=1", *first) != run("limit=1", *second)


def test_names_that_are_left_out_are_a_tuple(run):
    """A string would leave out each argument whose name is a part of it."""
    edited("class Halved(TheirL2):", "class Halved(TheirL2):\n    not_identity = 'root'\n")
    with pytest.raises(SettingError, match=r"^own_module\.Halved\.not_identity: expected a tuple .* \('root',\)$"):
        run("limit=1", *HALVED)


def test_a_metric_that_holds_other_numbers_is_refused(run):
    run("limit=1", "metric._target_=own_module.Weighted", "~metric.largest", "~metric.span")
    with pytest.raises(SmoothingError, match=r"its rows are of another metric: the numbers that it holds"):
        run("limit=2", "metric._target_=own_module.Weighted", "~metric.largest", "~metric.span")


STORED = ("dataset._target_=own_module.Stored", "+dataset.root=x.pt", "limit=null")


def test_an_example_that_has_changed_is_refused(run, capsys):
    """Not the first, the middle or the last."""
    images = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.save(images, "x.pt")
    folder = run(*STORED)
    assert run(*STORED) == folder
    assert len(read_table(folder)) == 5
    images[1] += 0.01
    torch.save(images, "x.pt")
    with pytest.raises(SmoothingError, match=r"example 1 of the data set has changed; move the folder away, or set"):
        run(*STORED)
    capsys.readouterr()
    again = run(*STORED, "certifier.alpha2=0.01")
    assert f"4 examples read again from {folder}, not sampled" in capsys.readouterr().err
    assert len(read_table(again)) == 5
    with pytest.raises(SmoothingError, match=r"example 1 of the data set has changed"):
        run(*STORED)


def test_an_unreadable_first_example_is_skipped_where_that_is_asked(run, capsys):
    torch.save(torch.rand(3, 1, 8, 8), "x.pt")
    edited(
        "        return self.images[index]",
        "        if index == 0:\n            raise OSError('broken')\n        return self.images[index]",
    )
    with pytest.raises(SmoothingError, match=r"dataset: 1 of 3 examples cannot be read: example 0 cannot be read: OSE"):
        run(*STORED)
    edited("class Stored(Dataset):", "class Stored(Dataset):\n    unreadable = 'skip'\n")
    sys.modules.pop("own_module")
    assert read_table(run(*STORED))["index"].tolist() == [1, 2]
    assert read_table(run(*STORED, "indices=[0,2]", "seed=2"))["index"].tolist() == [2]
    for index in (0, 1):
        folder = run(*STORED, "seed=1", "shard.count=2", f"shard.index={index}")
        assert bool(unfinished(find_runs(folder)[0])) == (index == 0)


def test_an_example_that_is_another_each_time_is_refused_before_anything_is_sampled(run):
    torch.save(torch.rand(5, 1, 8, 8), "x.pt")
    edited("return self.images[index]", "return self.images[index] + (index == 2) * torch.rand(())")
    with pytest.raises(SettingError, match=r"^dataset: example 2 differs each time that it is read; leave out ran"):
        run(*STORED, "indices=[2,3]")
    assert not list(Path("r").rglob("certificates.csv"))
    assert not list(Path("r").rglob("examples.csv"))


ALTERED = "return self.images[index] + (index == 7) * torch.rand(())"


@pytest.mark.parametrize("fingerprint", [False, True])
def test_a_later_example_that_is_another_each_time_is_refused_when_it_is_certified(run, fingerprint):
    """Not one of the few that are read twice at the start. With a fingerprint, examples.csv has no hashes."""
    torch.save(torch.rand(10, 1, 8, 8), "x.pt")
    edited("return self.images[index]", ALTERED)
    if fingerprint:
        edited("    def indices(self):", "    def fingerprint(self):\n        return 'x'\n\n    def indices(self):")
    with pytest.raises(SettingError, match=r"^dataset: example 7 differs each time that it is read; leave out ran"):
        run(*STORED)
    (table,) = Path("r").rglob("certificates.csv")
    assert pd.read_csv(table)["index"].max() < 7
    assert len(read_table(run(*STORED, "limit=7"))) == 7


def test_an_edited_model_is_said_and_continued(run, capsys):
    folder = run("limit=1")
    assert "source of the model" not in capsys.readouterr().err
    edited("return self.scale * x", "return self.scale * 1.0 * x")
    assert run("limit=2") == folder
    said = capsys.readouterr().err
    assert said.count("the source of the model has changed since its rows were made") == 1


def test_an_edited_model_without_numbers_is_another_model(run):
    """Its code is all that it is."""
    with open("own_module.py", "a") as module:
        module.write(BARE)
    folder = run("limit=1", "model._target_=own_module.Bare")
    edited("2.0 * x", "20.0 * x")
    sys.modules.pop("own_module")
    with pytest.raises(SmoothingError, match=r"its rows are of other weights of the model \(or other code"):
        run("limit=2", "model._target_=own_module.Bare")
    edited("20.0 * x", "2.0 * x")
    sys.modules.pop("own_module")
    assert run("limit=2", "model._target_=own_module.Bare") == folder


def test_weights_of_another_content_under_the_same_name_are_another_run(run):
    torch.save(torch.tensor(1.0), "pre.pt")
    one = run("limit=1", "+model.weights=pre.pt")
    assert run("limit=2", "+model.weights=pre.pt") == one
    torch.save(torch.tensor(2.0), "pre.pt")
    assert run("limit=1", "+model.weights=pre.pt") != one


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")
def test_a_file_of_weights_is_a_checkpoint_by_its_content(run):
    classes = ("certifier=certify", "~certifier.m", "~certifier.delta", "~metric", "certifier.n=200")
    given = ("model._target_=own_module.Trained", "checkpoint=pre.pt", "limit=1")
    names = {}
    for scale, wrapped in ((1.0, False), (2.0, False), (1.0, True)):
        weights = {"last.weight": torch.ones(10, 64) * scale, "last.bias": torch.arange(10.0)}
        named = {f"module.{name}": value for name, value in weights.items()}
        torch.save({"state_dict": named, "epoch": 3} if wrapped else weights, "pre.pt")
        folder = run(*classes, *given)
        names[scale, wrapped] = folder.name
        assert (read_table(folder)["predict"] == 9).all()
        assert json.loads((folder / "run.json").read_text())["identity"]["training"].keys() == {"weights"}
    assert len(set(names.values())) == 3
    torch.save({"last.weight": torch.ones(3, 64)}, "pre.pt")
    with pytest.raises(SettingError, match=r"checkpoint: the weights in 'pre\.pt' do not fit Trained; set model=.*: "):
        run(*classes, *given)
    torch.save({f"fc{k}.weight": torch.ones(3, 64) for k in range(4)}, "pre.pt")
    with pytest.raises(
        SettingError, match=r"Missing.*\w.; the file has fc0\.weight, fc1\.weight, fc2\.weight, \.\.\. instead"
    ):
        run(*classes, *given)
    torch.save(torch.nn.Linear(2, 2), "pre.pt")
    with pytest.raises(SettingError, match=r"'pre\.pt' holds more than tensors"):
        run(*classes, *given)
    torch.jit.script(torch.nn.Linear(2, 2)).save("pre.pt")
    with pytest.raises(SettingError, match=r"'pre\.pt' is a TorchScript file, a network with its code; save model\."):
        run(*classes, *given)
    for text in ("<html>", "alcohol,malic\n13.2,1.78\n", "label\n1\n", ""):
        Path("pre.pt").write_text(text)
        with pytest.raises(SettingError, match=r"'pre\.pt' is damaged, or not a file of weights"):
            run(*classes, *given)


def test_other_examples_and_classes_do_not_continue_a_run(run, monkeypatch):
    folder = run("limit=1")
    record = json.loads((folder / "run.json").read_text())
    assert record["classes"] == Digits().classes
    plain = Digits.__getitem__
    monkeypatch.setattr(Digits, "__getitem__", lambda self, index: 1 - plain(self, index))
    with pytest.raises(SmoothingError, match=r"run\.json: its rows are of other examples"):
        run("limit=2")
    monkeypatch.setattr(Digits, "__getitem__", plain)
    made = Digits.__init__

    def renamed(self, *given, **more):
        made(self, *given, **more)
        self.classes = list(reversed(self.classes))

    monkeypatch.setattr(Digits, "__init__", renamed)
    with pytest.raises(SmoothingError, match=r"run\.json: its rows are of other classes"):
        run("limit=2")


def test_a_record_from_before_contents_is_continued(run):
    folder = run("limit=1")
    record = json.loads((folder / "run.json").read_text())
    for key in ("weights", "examples", "classes", "code"):
        del record[key]
    (folder / "run.json").write_text(json.dumps(record))
    assert run("limit=2") == folder


def test_the_fingerprint_is_found_once_a_start(run, monkeypatch):
    asked = []
    monkeypatch.setattr(Digits, "fingerprint", lambda self: asked.append(self) or "content")
    run("limit=1")
    assert len(asked) == 1
