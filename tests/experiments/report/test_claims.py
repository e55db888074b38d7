"""A user's claims.csv: mistakes in it are named."""

import pytest

from experiments.report.claims import verdicts
from smoothing import SettingError

HEADER = "figure,claim,quantity,relation,paper,tolerance,reason,kind"
GOOD = "acr,c,the largest ACR,below,1,0,an ordering,trend"
OURS = {"the largest ACR": {"a": 0.5}}


@pytest.fixture
def claims(tmp_path):
    """claims(row, ...) writes claims.csv and returns its path."""

    def write(*rows, header=HEADER):
        path = tmp_path / "claims.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


MISTAKES = [
    (GOOD.replace("trend", "guess"), HEADER, "expected one of number, trend, theorem, ours as kind, got 'guess'"),
    (GOOD.replace("below", "less"), HEADER, "expected one of below, at most, about as relation, got 'less'"),
    (GOOD, HEADER.replace("kind", "sort"), rf"expected the columns {HEADER.replace(',', ', ')}; kind is missing"),
]


@pytest.mark.parametrize(("row", "header", "expected"), MISTAKES)
def test_a_wrong_word_or_column_is_named_with_the_known_ones(claims, row, header, expected):
    with pytest.raises(SettingError, match=rf"claims\.csv: {expected}$"):
        verdicts(claims(row, header=header), "acr", OURS)


def test_a_claim_about_a_quantity_that_is_not_computed_is_named(claims, capsys):
    path = claims(GOOD.replace("largest", "lagrest"))
    assert verdicts(path, "acr", OURS).empty
    assert capsys.readouterr().err == (
        f"{path}: claims of figure acr are not checked, because it does not compute their quantity, "
        "'the lagrest ACR'; it computes 'the largest ACR', which no claim is about\n"
    )
    assert verdicts(path, "arc", OURS).empty
    assert capsys.readouterr().err == f"{path}: no claims of figure arc, which computes 'the largest ACR'\n"


def test_a_quantity_that_these_runs_do_not_have_is_no_mistake(claims, capsys):
    path = claims(GOOD, GOOD.replace("largest", "smallest"))
    assert len(verdicts(path, "acr", OURS)) == 1
    assert verdicts(path, "acr", {}).empty
    assert capsys.readouterr().err == ""
