"""A user's own certifier: what does not fit its table is one line, and never a row."""

from dataclasses import dataclass, replace

import pytest
import torch

from experiments.certifying.build import _certifier
from experiments.certifying.rows import Certification, rows_of_each
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
        (Fails, BaseFunctionError, r"metric or certifier: KeyError: 'no such thing' \(.*in procedure\)"),
    ],
)
def test_what_does_not_fit_is_one_line(certifier, error, message):
    with pytest.raises(error, match=message) as raised:
        rows(certifier)
    assert "\n" not in str(raised.value)


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
"""


@pytest.mark.parametrize(
    ("certifier", "message"),
    [
        ("my_keys.NoIndex", r"NoIndex\.columns: expected a column index, which identifies a row"),
        ("my_keys.NoCase", r"NoCase\.columns: expected a column sigma, which identifies a row"),
        ("my_keys.NoColumns", r"NoColumns\.columns: expected a column index"),
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
