"""Rows of another model, noise or metric are not added to a run, even if its settings, source and weights are equal."""

import json
import math
import sys
from pathlib import Path

import pytest
import torch

from experiments.certifying import computed
from experiments.certifying.certification import certify
from experiments.runs.table import read_table
from smoothing import BandAblation, DeterministicSplitting, SmoothingError
from smoothing.base_function import FrozenFunction
from smoothing.streams import Stage, Stream

MINE = """
import torch
from pathlib import Path
from smoothing import L2 as TheirL2
from smoothing.noise.gaussian import Gaussian

TABLE = {"scale": lambda x: float(Path("scale").read_text()) * x}


def read(name):
    return float(Path(name).read_text())


class Net(torch.nn.Module):
    pretrained = True

    def __init__(self) -> None:
        super().__init__()
        self.scale = read("one_number")  # a single number
        weights = torch.full((10,), read("closure"))
        self.shifted = lambda out: out + weights * torch.arange(10)  # in a closure

    def forward(self, x):
        out = self.scale * x.mean(dim=(1, 2, 3))[:, None].expand(-1, 10)
        return TABLE["scale"](self.shifted(out))  # a registry of functions


class Own(Gaussian):
    def __init__(self, grid: int | None = None) -> None:
        super().__init__(read("sigma"), grid=grid)


class L2(TheirL2):
    def __init__(self) -> None:
        super().__init__()
        self.weight = read("weight")

    def _distance(self, a, b):
        return self.weight * super()._distance(a, b)
"""
NAMES = ("one_number", "closure", "scale", "sigma", "weight")


@pytest.fixture
def run(settings, tmp_path, monkeypatch):
    """run(...) certifies with own_code.py, which reads numbers from files, and returns the folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_code.py").write_text(MINE)
    for name in NAMES:
        Path(name).write_text("0.5")
    small = ("certifier.n=200", "certifier.m=100", "certifier.delta=0.2", "eps=0.1", "device=cpu", "batch_size=50")
    own = (
        *("dataset=digits", "~model.min_face_size", "model._target_=own_code.Net", "results.root=r"),
        *("metric=l2", "metric._target_=own_code.L2", "~metric.largest", "~metric.span"),
        *("noise._target_=own_code.Own", "~noise.sigma"),
    )
    yield lambda *more: certify(settings("experiment=demo", *small, *own, *more)).parent
    sys.modules.pop("own_code", None)


def records(folder):
    return [json.loads(path.read_text()) for path in sorted(folder.glob("run*.json"))]


CHANGES = [
    ("one_number", "model"),
    ("closure", "model"),
    ("scale", "model"),
    ("sigma", "noise"),
    ("weight", "metric"),
]


@pytest.mark.parametrize(("file", "name"), CHANGES)
@pytest.mark.parametrize(
    "more",
    [("limit=3",), ("indices=[5]",), ("limit=4", "shard.count=2", "shard.index=1")],
    ids=["more", "other", "shard"],
)
def test_more_rows_of_another_function_are_refused(run, file, name, more):
    folder = run("limit=2")
    before = (folder / "certificates.csv").read_bytes()
    Path(file).write_text("0.51")
    says = rf"json: its rows are of another {name}: what it computes at example \d+ has changed, .*; move the folder"
    with pytest.raises(SmoothingError, match=says):
        run(*more)
    assert (folder / "certificates.csv").read_bytes() == before
    Path(file).write_text("0.5")
    assert run(*more) == folder


@pytest.mark.parametrize("file", ["one_number", "sigma", "weight"])
def test_rows_of_another_function_are_not_read_again(run, file, capsys):
    theirs = run("limit=2")
    Path(file).write_text("0.51")
    capsys.readouterr()
    own = run("limit=2", "certifier.alpha2=0.01")
    assert own != theirs
    assert "read again" not in capsys.readouterr().err
    Path(file).write_text("0.5")
    other = run("limit=2", "certifier.alpha2=0.02")
    assert f"2 examples read again from {theirs}, not sampled" in capsys.readouterr().err
    assert records(other)[0]["computed"] == records(theirs)[0]["computed"]


@pytest.mark.parametrize("noise", ["dssn", "band"])
def test_copies_of_a_finite_noise_are_its_first(noise):
    shape = (1, 8, 8)
    finite = {"band": BandAblation(size=2, shape=shape), "dssn": DeterministicSplitting(0.5, levels=16, shape=shape)}
    made = finite[noise]
    x = torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)).mul(16).round() / 16
    copies = computed._copies(x, made, Stream(0, 0, Stage.COMPARISON))
    torch.testing.assert_close(copies, made.copies(x, 0, 4), equal_nan=True, rtol=0, atol=0)


def test_no_noise_has_no_copies():
    assert computed._copies(torch.zeros(3), None, Stream(0, 0, Stage.COMPARISON)).shape == (0, 3)


def test_a_finished_run_evaluates_nothing(run, monkeypatch):
    folder = run("limit=2")
    monkeypatch.setattr(FrozenFunction, "__call__", lambda *_: pytest.fail("evaluated"))
    assert run("limit=2") == folder


def test_each_start_keeps_a_few_numbers(run):
    folder = run("limit=1")
    run("limit=2")
    (record,) = records(folder)
    first, second = record["computed"], record["resumed"][0]["computed"]
    assert first == second
    assert {key: len(first[key]) for key in ("model", "noise", "model_of_noise", "metric")} == {
        **{"model": 10, "noise": 16, "model_of_noise": 16, "metric": 4}
    }
    assert (first["device"], first["torch"]) == ("cpu", torch.__version__)


def edit_record(folder, **changes):
    path = folder / "run.json"
    record = json.loads(path.read_text())
    record["computed"] |= changes
    path.write_text(json.dumps(record))


@pytest.mark.parametrize(("file", "warned"), [("one_number", True), ("sigma", False)])
def test_on_another_device_another_model_is_only_said(run, capsys, file, warned):
    """Another device draws other noise."""
    folder = run("limit=1")
    edit_record(folder, device="NVIDIA H100")
    Path(file).write_text("0.51")
    capsys.readouterr()
    assert run("limit=2") == folder
    said = f"{folder}/run.json: its rows may be of another model: what NVIDIA H100 and torch "
    assert (said in capsys.readouterr().err) == warned


def test_under_another_torch_a_difference_is_only_said(run, capsys):
    folder = run("limit=1")
    edit_record(folder, torch="1.0")
    Path("weight").write_text("0.51")
    assert run("limit=2") == folder
    assert "may be of another metric" in capsys.readouterr().err


def test_an_earlier_run_without_such_numbers_goes_on(run):
    folder = run("limit=1")
    path = folder / "run.json"
    record = json.loads(path.read_text())
    del record["computed"]
    path.write_text(json.dumps(record))
    Path("sigma").write_text("0.51")
    assert run("limit=2") == folder
    (record,) = records(folder)
    assert "computed" not in record  # nothing is known of its first rows
    assert "computed" in record["resumed"][0]


def test_certificates_are_what_they_are_without_the_numbers(run, monkeypatch):
    """They use another stream, and no state."""
    folder = run("limit=2")
    before = read_table(folder).drop(columns="seconds")
    monkeypatch.setattr(computed.Computed, "records", lambda self, examples: [{}])
    after = read_table(run("limit=2", "results.root=other")).drop(columns="seconds")
    assert before.equals(after)


@pytest.mark.parametrize(
    ("old", "new", "close"),
    [
        ([1.0, 2.0], [1.0, 2.001], True),
        ([1.0, 2.0], [1.0, 2.01], False),
        ([0.0, 2.0], [0.0005, 2.0], True),  # relative to the largest
        (["nan", 1.0], ["nan", 1.0], True),
        (["nan", 1.0], [1.0, 1.0], False),
        (["inf", 1.0], ["-inf", 1.0], False),
        (["inf"], ["inf"], True),
        ([0.0], [0.0], True),
        ([1.0], [1.0, 1.0], False),
        ([], [], True),
    ],
)
def test_numbers_are_equal_up_to_rounding(old, new, close):
    assert computed._close(old, new, 1e-3) == close


def test_large_outputs_are_a_few_numbers():
    few = computed._numbers(torch.rand(3, 100, 100), 16)
    assert len(few) == 16
    assert computed._numbers(torch.tensor([1.0, math.nan, -math.inf]), 4) == [1.0, "nan", "-inf"]
    json.dumps(few, allow_nan=False)
    partly = torch.tensor([math.nan, 3.0, math.nan, 4.0, math.nan, 5.0])
    assert computed._numbers(partly, 4) == [3.0, "nan", 4.0, 4.082483]
