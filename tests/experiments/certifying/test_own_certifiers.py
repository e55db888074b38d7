"""A user's own certifier: what does not fit its table is one line, and never a row."""

import importlib
import pkgutil
from dataclasses import dataclass, is_dataclass, replace
from typing import get_args

import pytest
import torch

import smoothing
from experiments.certifying.build import _certifier
from experiments.certifying.rows import STATUSES, Certification, rows_of_each
from experiments.config.settings import Group
from experiments.data import Digits
from experiments.training.base_function import BaseFunction
from smoothing import Certifier, Gaussian, SettingError, Voting
from smoothing.errors import BaseFunctionError
from smoothing.smoothed_classifier import total
from smoothing.streams import Stage


@dataclass(frozen=True)
class Votes:
    eps_in: float
    prediction: int
    n: int
    status: str = "certified"


class Count(Voting, Certifier):
    """Votes of 20 samples, in a row for each eps."""

    columns = ("index", "label", "predict", "correct", "eps_in", "n", "status", "seconds")
    shown = columns
    case = "eps_in"
    samples = 20

    def cases(self, eps):
        return eps

    def procedure(self, x, example, label):
        (answers,) = yield [self.request(x, 20, example, Stage.SELECTION)]
        return total(answers)

    def statements(self, drawn, cases):
        return [Votes(eps, int(drawn.argmax()), 20) for eps in cases]


class TooFew(Count):
    def statements(self, drawn, cases):
        return super().statements(drawn, cases[:1])


class OneAlone(Count):
    def statements(self, drawn, cases):
        return Votes(cases[0], 0, 20)


class Turned(Count):
    def statements(self, drawn, cases):
        return super().statements(drawn, cases[::-1])


class NoDataclass(Count):
    def statements(self, drawn, cases):
        return [{"eps_in": eps} for eps in cases]


class AnotherColumn(Count):
    columns = (*Count.columns, "radius")


class Fails(Count):
    def procedure(self, x, example, label):
        yield from super().procedure(x, example, label)
        raise KeyError("no such thing")


@dataclass(frozen=True)
class Bounded(Votes):
    p_within: float = float("nan")
    radius: float = 0.0
    failure_probability: float = 0.001


class Says(Count):
    columns = (*Count.columns, "p_within", "radius", "failure_probability")
    said: dict

    def statements(self, drawn, cases):
        return [Bounded(eps, 0, 20, **self.said) for eps in cases]


def saying(**said):
    return type("Says", (Says,), {"said": said})


class Images(dict):
    def label(self, index):
        return index


def scores(x):
    return torch.cat([x, -x], dim=1)


@pytest.fixture
def labelled(monkeypatch):
    monkeypatch.setattr("experiments.certifying.rows.LabelledDataset", Images)


def rows(certifier_class):
    one = Certification(certifier_class(scores, Gaussian(0.5)), [0.1, 0.2], None)
    return next(rows_of_each([one], Images({0: torch.ones(1)}), [0], torch.device("cpu")))


def test_a_certifier_that_fits_has_a_row_for_each_case(labelled):
    (found,) = rows(Count)
    expected = [(0, 0.1, True, 20), (0, 0.2, True, 20)]
    assert [(row["index"], row["eps_in"], row["correct"], row["n"]) for row in found] == expected


@pytest.mark.parametrize(
    ("certifier", "error", "message"),
    [
        (TooFew, SettingError, r"TooFew\.statements: expected a list of 2, one for each row of an example, got 1"),
        (OneAlone, SettingError, r"statements: expected a list of 2, .*, got a Votes"),
        (Turned, SettingError, r"statements: expected eps_in = 0\.1 in statement 0, got 0\.2"),
        (NoDataclass, SettingError, r"statements: expected dataclasses, got a dict"),
        (AnotherColumn, SettingError, r"statements: Votes has no field for the column radius"),
        (saying(status="ok"), SettingError, r"Bounded\.status: expected one of certified, abstained, .*, got 'ok'"),
        (saying(status=None), SettingError, r"Bounded\.status: expected one of certified, .*, got None"),
        (saying(), SettingError, r"Bounded\.p_within: expected 0 or more where certified, got nan"),
        (
            saying(p_within=torch.tensor(-0.5)),
            SettingError,
            r"p_within: expected 0 or more where certified, got -0\.5",
        ),
        (
            saying(p_within=1.0, failure_probability=1.5),
            SettingError,
            r"failure_probability: expected 0 to 1 where certified, got 1",
        ),
        (saying(p_within=1.0, radius=None), SettingError, r"radius: expected 0 or more where certified, got None"),
        (
            saying(p_within=1.0, radius=float("nan")),
            SettingError,
            r"radius: expected 0 or more where certified, got nan",
        ),
        (Fails, BaseFunctionError, r"metric or certifier: KeyError: 'no such thing' \(.*in procedure\)"),
    ],
)
def test_what_does_not_fit_is_one_line(certifier, error, message):
    with pytest.raises(error, match=message) as raised:
        rows(certifier)
    assert "\n" not in str(raised.value)


def test_numbers_of_a_row_that_is_no_certificate_may_be_missing(labelled):
    (found,) = rows(saying(status="abstained", radius=float("nan")))
    assert [row["status"] for row in found] == ["abstained"] * 2


def test_every_status_of_the_library_is_known():
    found = set()
    for module in pkgutil.iter_modules(smoothing.__path__, "smoothing."):
        things = vars(importlib.import_module(module.name)).values()
        found |= {
            each for thing in things if is_dataclass(thing) for each in get_args(thing.__annotations__.get("status"))
        }
    assert {"certified", "abstained", "failed", "predicted"} <= found <= {*STATUSES}


WITHOUT_KEYS = """
from smoothing import Certifier, Voting


class NoIndex(Voting, Certifier):
    columns, samples = ("eps_in",), 20

    def procedure(self, x, example, label):
        yield []


class NoCase(NoIndex):
    columns, case = ("index", "eps_in"), "sigma"


class NoColumns(NoIndex):
    columns = ()


class NoNumber(NoIndex):
    columns, samples = ("index",), None


class Negative(NoNumber):
    samples = -1
"""


@pytest.mark.parametrize(
    ("certifier", "message"),
    [
        ("my_keys.NoIndex", r"NoIndex\.columns: expected a column index, which identifies a row"),
        ("my_keys.NoCase", r"NoCase\.columns: expected a column sigma, which identifies a row"),
        ("my_keys.NoColumns", r"NoColumns\.columns: expected a column index"),
        ("my_keys.NoNumber", r"NoNumber\.samples: expected a whole number of at least 0, got None"),
        ("my_keys.Negative", r"Negative\.samples: expected a whole number of at least 0, got -1"),
        ("smoothing.SmoothedClassifier", r"expected a class derived from smoothing\.Certifier, got SmoothedClassifier"),
    ],
)
def test_a_table_without_its_keys_is_refused_before_anything_is_sampled(
    settings, tmp_path, monkeypatch, certifier, message
):
    (tmp_path / "my_keys.py").write_text(WITHOUT_KEYS)
    monkeypatch.syspath_prepend(tmp_path)
    mine = replace(settings("experiment=digits_gaussian"), certifier=Group(certifier))
    with pytest.raises(SettingError, match=message):
        _certifier(mine, BaseFunction(scores, Gaussian(0.5), None), Digits())
