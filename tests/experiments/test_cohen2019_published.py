"""The authors' own files: read as runs, and drawn into the numbers that are known of them."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from experiments.cohen2019.published import published_runs, read_published
from experiments.cohen2019.results import alpha_of
from smoothing import SmoothingError

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "cohen2019"
HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the authors' raw files are not beside the checkout"
)


@needs_published
def test_the_published_cifar10_table(drawn, tmp_path):
    (path,) = drawn("cohen_table_cifar10", tmp_path, source=PUBLISHED)
    table = pd.read_csv(path.with_suffix(".csv"))
    known = {
        0.12: [0.59, 0, 0, 0, 0, 0],
        0.25: [0.60, 0.43, 0.27, 0, 0, 0],
        0.5: [0.55, 0.41, 0.32, 0.23, 0.15, 0.09],
        1.0: [0.39, 0.34, 0.28, 0.22, 0.17, 0.14],
    }
    for sigma, row in known.items():
        ours = table[(table["sigma"] == sigma) & (table["radius"] > 0)]["accuracy"]
        assert ours.round(2).tolist() == row
    assert table["paper"].notna().all()
    assert (table["difference"] == table["accuracy"] - table["paper"]).all()
    assert 0.02 < table["difference"].abs().max() < 0.0225
    assert table["within"].all()
    assert "0.65 (0.66)" in path.read_text()
    assert r"\toprule" in path.with_suffix(".tex").read_text()


@needs_published
def test_the_published_predict_table(drawn, tmp_path):
    (path,) = drawn("cohen_predict", tmp_path, source=PUBLISHED)
    table = pd.read_csv(path.with_suffix(".csv"))
    row = table.query("N == 10000")
    assert row["share"].round(2).tolist() == row["paper"].tolist() == [0.69, 0, 0.3, 0, 0.01]
    assert table["difference"].abs().max() < 0.03
    assert table.groupby("N")["share"].sum().tolist() == pytest.approx([1.0] * 4)


@needs_published
def test_the_published_curves(drawn, tmp_path, capsys):
    (path,) = drawn("cohen_training_noise", tmp_path, source=PUBLISHED)
    assert pd.read_csv(path.with_suffix(".csv"))["training_sigma"].unique().tolist() == [0.12, 0.25, 0.5, 1]
    claims = pd.read_csv(path.with_suffix(".claims.csv"))
    assert claims["within"].all()
    assert len(claims) == 2
    capsys.readouterr()
    drawn("cohen_curves", tmp_path, source=PUBLISHED)
    assert capsys.readouterr().out.count("fit alpha = 0.01, not the stated 0.001") == 2
    alphas = {run.identity["noise"]["sigma"]: alpha_of(run) for run in published_runs(PUBLISHED / "certify")}
    assert alphas[0.12] == alphas[1.0] == 0.001
    assert drawn("cohen_ablations", tmp_path, source=PUBLISHED) == []  # no counts


def test_both_time_formats_and_abstentions(tmp_path):
    path = tmp_path / "certify" / "cifar10" / "resnet110" / "noise_0.25" / "test" / "sigma_0.50"
    path.parent.mkdir(parents=True)
    path.write_text(
        "idx\tlabel\tpredict\tradius\tcorrect\ttime\n0\t3\t3\t0.378\t1\t15.4\n20\t7\t-1\t0.0\t0\t1:02:03.5\n"
    )
    shutil.copy(path, path.parent / "sigma_0.50.orig")
    (run,) = published_runs(tmp_path)
    assert run.identity["noise"]["sigma"] == 0.5
    assert run.identity["training"]["noise"]["sigma"] == 0.25
    assert run.table["seconds"].tolist() == [15.4, 3723.5]
    assert run.table["status"].tolist() == ["certified", "abstained"]
    assert run.table["correct"].tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    ["", "idx label\n", f"{HEADER}\n0\t3\tcat\t0.1\t1\t2\n", f"{HEADER}\n0\t3\t3\t0.1\t1\tsoon\n"],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, text):
    path = tmp_path / "sigma_0.25"
    path.write_text(text)
    with pytest.raises(SmoothingError, match=r"sigma_0\.25: not a results file"):
        read_published(path)
