"""Where f_hat surely answers, in a run: stored counts, the column `answers`, and what the terminal shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.certifying.rows import Certification, row, rows_of_each
from experiments.config.identity import identity, identity_hash
from experiments.report.terminal import table_summary
from experiments.runs.run_folder import RunFolder, load_draws
from experiments.runs.table import Schema, TableWriter, answers_in
from smoothing import (
    L2,
    BalancedCenterSmoothing,
    CenterSmoothing,
    DeterministicSplitting,
    ExactBalancedCenterSmoothing,
    Gaussian,
)

ROOT = Path(__file__).parents[3]
EPS = [0.05, 0.1, 1.0]
GIVEN = {"n": 500, "m": 1000, "q": 0.5, "rho": 1.5, "candidates": 100, "center": "medoid"}


def balanced(**changes):
    return BalancedCenterSmoothing(torch.tanh, Gaussian(0.5), L2(), **(GIVEN | changes))


@pytest.fixture
def folder(settings, tmp_path):
    made = RunFolder(tmp_path, settings(), {"noise": {"type": "Gaussian"}, "certifier": {"type": "C"}})
    (made.path / "draws").mkdir(parents=True)
    return made


def rows_in(folder, certifier):
    images = {0: torch.zeros(2)}
    run = Certification(certifier, EPS, folder)
    ((rows,),) = rows_of_each([run], images, [0], torch.device("cpu"))
    return rows


def test_the_column_says_yes_no_or_nothing(folder):
    certifier = balanced(alpha3=0.03)
    rows = rows_in(folder, certifier)
    assert [line["answers"] for line in rows] == [True, True, False]
    assert [line["failure_probability"] for line in rows] == pytest.approx([0.04, 0.04, 0.01])
    draws, _ = folder.load(0)
    assert draws.held.tolist() == certifier.draw(torch.zeros(2), example=0).held.tolist()
    assert (draws.held.dtype, draws.held_within) == (np.int64, 1.5)
    assert [line["answers"] for line in rows_in(folder, certifier)] == [True, True, False]  # from the stored draws
    again = rows_in(folder, balanced(alpha3=None))
    assert [line["answers"] for line in again] == [None] * 3
    with TableWriter(folder.path / "certificates.csv", Schema.of(BalancedCenterSmoothing)) as table:
        table.write([*rows, *({**line, "index": 1} for line in again)])
    written = pd.read_csv(folder.path / "certificates.csv", keep_default_na=False)
    assert written["answers"].tolist() == ["True", "True", "False", "", "", ""]
    assert table_summary(written)[0].split()[4:6] == ["surely", "answers"]
    assert [line.split()[4] for line in table_summary(written)[1:4]] == ["50%", "50%", "0%"]
    assert answers_in(written.assign(answers="")) is None
    assert "answers" not in "".join(table_summary(written.drop(columns="answers")))


def test_draws_without_counts_are_stored_without_them_and_older_ones_are_read(folder):
    for certifier in (balanced(), CenterSmoothing(torch.tanh, Gaussian(0.5), L2(), n=500, m=100, delta=0.2)):
        folder.save(0, certifier.draw(torch.zeros(2)), 1.0)
        with np.load(folder.path / "draws" / "0.npz") as stored:
            assert not {"held", "held_within"} & set(stored)
        draws, _ = folder.load(0)
        assert (draws.held, draws.held_within) == (None, None)
    for older in sorted(ROOT.glob("results/faces_jaccard/*/draws/0.npz"))[:2]:
        assert load_draws(older)[0].held is None


def test_deterministic_rows_always_say_it(folder):
    noise = DeterministicSplitting(0.5, 4, (2,))
    certifier = ExactBalancedCenterSmoothing(torch.tanh, noise, L2(), q=0.5, rho=1.5)
    assert [line["answers"] for line in rows_in(folder, certifier)] == [True, True, False]
    assert folder.load(0)[0].held_within == 1.5


def test_a_table_without_the_column_is_continued_without_it(tmp_path):
    path, certifier = tmp_path / "certificates.csv", balanced(alpha3=0.03)
    drawn, schema = certifier.draw(torch.zeros(2)), Schema.of(BalancedCenterSmoothing)
    lines = [row(schema, certifier.read(drawn, 0.1), index=index, seconds=1.0) for index in (0, 1)]
    assert schema.columns[-2:] == ("empty", "answers")
    for older in (schema.columns[:-1], schema.columns[:-2]):
        pd.DataFrame(lines[:1])[list(older)].to_csv(path, index=False)
        with TableWriter(path, schema) as table:
            table.write(lines[1:])
        assert tuple(pd.read_csv(path).columns) == older
        assert len(pd.read_csv(path)) == 2


def test_alpha3_is_identity_and_its_absence_is_not(settings):
    given = ("experiment=digits_tvd", "certifier=balanced", "certifier.q=0.5", "certifier.rho=5")
    plain, said = settings(*given), settings(*given, "certifier.alpha3=0.005")
    assert "alpha3" not in identity(plain, "")["certifier"]
    assert identity(said, "")["certifier"]["alpha3"] == 0.005
    older = {key: value for key, value in plain.certifier.arguments.items() if key != "alpha3"}
    before = replace(plain, certifier=replace(plain.certifier, arguments=older))
    assert identity_hash(identity(before, "")) == identity_hash(identity(plain, ""))
