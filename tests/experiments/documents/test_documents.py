"""The tables of the documents are what the committed results give; none is typed."""

import pytest

from experiments.documents import center
from experiments.documents.__main__ import DOCUMENTS, MARKED, TABLES, page
from experiments.documents.balanced import balanced_mnist
from experiments.documents.runs import by_sigma, markdown, only
from smoothing import SettingError

WRITTEN = {found[2]: found for path in DOCUMENTS for found in MARKED.finditer(path.read_text())}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_is_up_to_date(name):
    assert page(WRITTEN[name][0]) == WRITTEN[name][0], "python -m experiments.documents writes it anew"


def test_every_table_is_in_a_document_and_only_tables_are_written_anew():
    assert set(WRITTEN) == set(TABLES)
    stale = "Prose.\n<!-- table: cohen_digits -->\n\n| 1.00 |\n\n<!-- end of table -->\nMore.\n"
    assert page(stale) == f"Prose.\n{WRITTEN['cohen_digits'][0]}\nMore.\n"


def test_a_row_without_runs_is_left_out():
    assert markdown(["a", "b"], [["1", "2"], ["no run", ""]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"


def test_tables_of_mnist_outlive_the_runs_of_2_epochs(monkeypatch):
    """Without them, their rows and cells are empty; everything else is as before."""

    def without(experiment, settings):
        return {
            sigma: run
            for sigma, run in by_sigma(experiment, settings).items()
            if run.identity["training"]["epochs"] > 2
        }

    monkeypatch.setattr(center, "by_sigma", without)
    assert center.mnist_2_epochs().count("\n") == 2
    assert "| 10 epochs | 105.6 | 7.4 |" in center.mnist_epochs()
    monkeypatch.setattr("experiments.documents.balanced.having", lambda *_: [])
    assert "| autoencoder, 0.1 |  | 25.9 |" in balanced_mnist()


def test_two_runs_that_fit_are_refused():
    with pytest.raises(SettingError, match="which run"):
        by_sigma("mnist_gaussian", {"certifier.type": "Certify"})
    with pytest.raises(SettingError, match="mnist_ablation: expected one run with"):
        only("mnist_ablation", {"noise.keep": 44})
