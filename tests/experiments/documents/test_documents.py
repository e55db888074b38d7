"""The tables of the documents are what the committed results give; none is typed."""

import re

import pytest

from experiments.config.command_line import CONF
from experiments.documents import center
from experiments.documents.__main__ import DOCUMENTS, MARKED, TABLES, page
from experiments.documents.balanced import balanced_mnist
from experiments.documents.runs import by_sigma, markdown, only
from smoothing import SettingError

WRITTEN = {found[2]: found for path in DOCUMENTS for found in MARKED.finditer(path.read_text())}

NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
QUOTES = (  # words of a sentence, the table that has their numbers, and how its row begins
    ("README.md", "grows from 0.084 to 0.459", "runner_up", "digits, Gaussian noise, 1 "),
    ("README.md", "from 0.468 to 0.591", "runner_up", "digits, Gaussian noise, 0.5"),
    ("README.md", "falls from 0.534 to 0.214", "steps", "faces, Jaccard, sigma = 0.2, 20 photographs | 2"),
    ("README.md", "the accuracy is 94.6 %", "ablation", "500 images of MNIST"),
    ("README.md", "the claim fails (0.296", "faces", "center smoothing, 30 photographs, units of the paper"),
    ("README.md", "(0.112 to 0.201)", "faces", "center smoothing, 30 photographs, units of the published"),
    ("README.md", "give 76 of 78", "training", "Together: Gaussian, stability, consistency: 76 of 78."),
    ("README.md", "18 of 25 with one seed, and 23 of 25", "training", "Together"),
    ("README.md", "are 1.531, 1.545 and 1.632", "training", ""),
    ("README.md", "the same images: 1.537, 1.550, 1.633", "training", ""),
    ("README.md", "and 1.612, 1.627 and 1.735", "training", ""),
    ("README.md", "(1.606, 1.624, 1.731)", "training", ""),
    ("README.md", "1.582 and 1.575 (1.571, 1.592), with another seed 1.571 and 1.589", "training", ""),
    ("README.md", "DSSN certifies 61.8 %", "dssn_mnist", "DSSN |"),
    ("README.md", "SSN certifies 45.6 %", "dssn_mnist", "SSN |"),
    ("README.md", "uniform noise 43.0 %", "dssn_mnist", "uniform |"),
    ("README.md", "1766 evaluations", "dssn_mnist_radii", "evaluations"),
    ("README.md", "with 10,064", "dssn_mnist_radii", "evaluations"),
    ("README.md", "certifies 60.4 %", "dssn_jpeg", "ours"),
    ("README.md", "and 40.8 %", "dssn_jpeg", "ours"),
    ("README.md", "the paper's 72.25 and 51.33 %", "dssn_jpeg", "the paper"),
    ("docs/results.md", "with a median `eps_out` of 24.1", "answers", "q = 1/2, 2 rho"),
    ("docs/results.md", "Center smoothing has 29.5", "attacked", "center smoothing"),
    ("docs/results.md", "(0.71 and 0.76)", "cohen_jpeg", ""),
    ("docs/balanced.md", "center smoothing (23.1 and 29.5)", "attacked", "center smoothing"),
)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_is_up_to_date(name):
    assert page(WRITTEN[name][0]) == WRITTEN[name][0], "python -m experiments.documents writes it anew"


def test_every_table_is_in_a_document_and_only_tables_are_written_anew():
    assert set(WRITTEN) == set(TABLES)
    stale = "Prose.\n<!-- table: cohen_digits -->\n\n| 1.00 |\n\n<!-- end of table -->\nMore.\n"
    assert page(stale) == f"Prose.\n{WRITTEN['cohen_digits'][0]}\nMore.\n"


@pytest.mark.parametrize(("document", "words", "table", "row"), QUOTES)
def test_a_sentence_quotes_a_table(document, words, table, row):
    assert words in " ".join((CONF.parent / document).read_text().split())
    lines = [line for line in WRITTEN[table][3].splitlines() if line.removeprefix("| ").startswith(row)]
    assert set(NUMBER.findall(words)) <= set(NUMBER.findall("\n".join(lines)))


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
    assert "| 2 epochs" not in center.mnist_epochs()
    monkeypatch.setattr("experiments.documents.balanced.having", lambda *_: [])
    assert "| autoencoder, 0.1 |  | " in balanced_mnist()


def test_two_runs_that_fit_are_refused():
    with pytest.raises(SettingError, match="which run"):
        by_sigma("mnist_gaussian", {"certifier.type": "Certify"})
    with pytest.raises(SettingError, match="mnist_ablation: expected one run with"):
        only("mnist_ablation", {"noise.keep": 44})
