"""The authors' own files: read as runs, and drawn with their known numbers."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from experiments.papers.cohen2019.published import Place, place_of, published_runs, read_published
from experiments.papers.cohen2019.results import alpha_of
from experiments.report.claims import CLOSE, HOLDS, verdict_words
from smoothing import SmoothingError

ROOT = Path(__file__).parents[4]
PUBLISHED = Path(__file__).parents[5] / "shared" / "data" / "cohen2019"
HEADER = "idx\tlabel\tpredict\tradius\tcorrect\ttime"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the authors' raw files are not next to the checkout"
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
    assert verdict_words(claims).tolist() == [CLOSE, HOLDS]  # 500 examples are too few for 0.936 < 1
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
    [
        "",
        "idx label\n",
        f"{HEADER}\n0\t3\tcat\t0.1\t1\t2\n",
        f"{HEADER}\n0\t3\t3\t0.1\t1\tsoon\n",
        "0\t3\t3\t0.1\t1\t2\n",  # no header
        f"{HEADER}\n0\t3\t3\n1\t3\t3\t0.1\t1\t2\n",
        f"{HEADER}\n0\t3\t3\t0.1\t0\t2\n",  # right, and not correct
        f"{HEADER}\n0\t3\t3\tnan\t1\t2\n",
        f"{HEADER}\n0\t3\t3\t-0.1\t1\t2\n",
        f"{HEADER}\n0\t3\t3\t0.1\t1\t2\n0\t3\t3\t0.1\t1\t2\n",  # appended to by a second start
    ],
)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, text):
    path = tmp_path / "sigma_0.25"
    path.write_text(text)
    with pytest.raises(SmoothingError, match=r"sigma_0\.25: not a results file"):
        read_published(path)


ROW = "0\t3\t3\t0.378\t1\t0:00:01.5\n"
PLACES = [  # path, (kind, data set, method, network, sigma, training sigma, samples)
    ("certify/cifar10/resnet110/noise_0.25/test/sigma_0.50", ("Certify", "cifar10", "", "resnet110", 0.5, 0.25, None)),
    ("predict/imagenet/resnet50/noise_0.25/test/N_1000", ("Predict", "imagenet", "", "resnet50", 0.25, 0.25, 1000)),
    (
        "certify/best_models/cifar10/ours/cifar10/DDN_4steps/eps_64/cifar10/resnet110/noise_0.25/test/sigma_0.25",
        ("Certify", "cifar10", "best_models/ours/DDN_4steps/eps_64", "resnet110", 0.25, 0.25, None),
    ),
    (
        "certify/imagenet/PGD_1step/imagenet/eps_512/resnet50/noise_1.00/test/sigma_1.00",
        ("Certify", "imagenet", "PGD_1step/eps_512", "resnet50", 1.0, 1.0, None),
    ),
    (
        "certify/cifar10/cohen/cifar_resnet20/noise_0.50_7483",
        ("Certify", "cifar10", "cohen", "cifar_resnet20", 0.5, 0.5, None),
    ),
    ("certify/mnist/cohen/noise_0.25_4067", ("Certify", "mnist", "cohen", "unknown", 0.25, 0.25, None)),
    (
        "certify/mnist/macer/num_16/lbd_6.0/noise_1.00",
        ("Certify", "mnist", "macer/num_16/lbd_6.0", "unknown", 1, 1, None),
    ),
    (
        "copied/cifar10/resnet110/noise_0.25/test/sigma_0.50.txt",
        ("Certify", "cifar10", "", "resnet110", 0.5, 0.25, None),
    ),
    ("certify/svhn/resnet20/sigma_0.25", ("Certify", "svhn", "", "resnet20", 0.25, None, None)),
]
OTHERS = [
    "certify/cifar10/resnet110/noise_0.25/train/sigma_0.25",
    "certify/cifar10/consistency/noise_0.25_acc",
    "certify/mnist/consistency/noise_1.00_0_acc",
    "certify/cifar10/resnet110/noise_0.25/test/sigma_0.50.orig",
    "resnet110/noise_0.25/test/sigma_0.50",
    "certify/cifar10/resnet110/N_100",
]


@pytest.mark.parametrize(("path", "expected"), PLACES)
def test_a_path_says_what_a_file_is_of(path, expected):
    assert place_of(Path("/data") / path) == Place(*expected)


@pytest.mark.parametrize("path", OTHERS)
def test_other_files_are_left_out(path):
    assert place_of(Path("/data") / path) is None


def write(root, place, text=f"{HEADER}\n{ROW}"):
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_other_authors_files_are_drawn_by_method_beside_no_number_of_the_paper(drawn, tmp_path):
    for name in ("0.25_4067", "0.25_919", "0.50_4490", "0.50_880", "0.50_acc"):
        write(tmp_path, f"certify/cifar10/cohen/cifar_resnet20/noise_{name}")
    write(tmp_path, "certify/cifar10/macer/num_16/noise_0.25")
    paths = drawn("cohen_table_cifar10", tmp_path / "out", source=tmp_path)
    named = "cohen_table_cifar10-cifar10_gaussian_published-"
    assert [path.stem for path in paths] == [
        f"{named}cohen-cifar_resnet20",
        f"{named}cohen_2-cifar_resnet20",
        f"{named}macer_num_16",
    ]
    for path in paths[:2]:  # the two trainings of each sigma, the first ones and the second ones
        table = pd.read_csv(path.with_suffix(".csv"))
        assert table["sigma"].unique().tolist() == [0.25, 0.5]
        assert "paper" not in table
        assert not path.with_suffix(".claims.csv").exists()


SAME = f"{HEADER}\n0\t3\t3\t0.378\t1\t0:00:01.5\n20\t7\t-1\t0.0\t0\t2.5\n"


@pytest.mark.parametrize(
    "text",
    [
        SAME,
        SAME.replace("\n", "\r\n"),
        SAME.replace("\n", "\r\n", 1),  # as in 64 files of smoothing-adversarial
        "\ufeff" + SAME,
        SAME.replace("\t", ","),
        SAME.replace("\n", "\tn_a\tn\n", 1).replace("1.5\n", "1.5\t99\t100\n").replace("2.5\n", "2.5\t50\t100\n"),
        SAME.removesuffix("\n"),
        f"{SAME}40\t7\t7\t0.",
        f"{SAME}40",
        f"{SAME}40\t7\t7\t0.5\t1\t",
        f"{SAME}40\t7\t7\t0.5\t1\t0:",
    ],
)
def test_the_same_rows_in_other_guises(tmp_path, text):
    """Windows line endings, a byte-order mark, commas, extra columns, an unfinished last line."""
    table = read_published(write(tmp_path, "sigma_0.25", text))
    assert table["index"].tolist() == [0, 20]
    assert table["predict"].tolist() == [3, -1]
    assert table["radius"].tolist() == [0.378, 0.0]
    assert table["correct"].tolist() == [True, False]
    assert table["seconds"].tolist() == [1.5, 2.5]


def test_a_file_that_has_only_its_header_has_no_rows(tmp_path):
    assert read_published(write(tmp_path, "sigma_0.25", f"{HEADER}\n")).empty


def test_a_day_is_read(tmp_path):
    text = f"{HEADER}\n0\t3\t3\t0.1\t1\t1 day, 0:00:02.5\n1\t3\t3\t0.1\t1\t2 days, 0:01:00\n"
    assert read_published(write(tmp_path, "sigma_0.25", text))["seconds"].tolist() == [86_402.5, 172_860.0]


@needs_published
def test_seven_of_the_twelve_test_files_fit_another_alpha():
    """The two CIFAR-10 files among the seven. The other five are ImageNet's and not available here."""
    runs = published_runs(PUBLISHED / "certify" / "cifar10")
    assert len(runs) == 7
    other = [(run.identity["training"]["noise"]["sigma"], alpha_of(run)) for run in runs if alpha_of(run) != 0.001]
    assert other == [(0.25, pytest.approx(0.01, rel=0.2)), (0.5, pytest.approx(0.01, rel=0.2))]


def test_a_source_without_such_files_is_told_what_is_expected(python, tmp_path):
    done = python("plot.py", "figure=cohen_curves", f"source={tmp_path}", f"figures.root={tmp_path}/out")
    assert done.returncode
    assert "no results in" in done.stderr
    assert HEADER.replace("\t", " ") in done.stderr
    assert "Traceback" not in done.stderr


@needs_published
def test_the_times_of_their_files_are_held_against_those_that_they_state(drawn, tmp_path):
    (path,) = drawn("cohen_time", tmp_path, source=PUBLISHED)
    table = pd.read_csv(path.with_suffix(".csv")).set_index(["experiment", "certifier", "n"])
    assert table.loc[("cifar10_gaussian", "Certify", 100_000), "paper"] == 15
    assert table.loc[("imagenet_gaussian", "Predict", 100), "mean_seconds"] == pytest.approx(0.15, rel=0.1)
    claims = pd.read_csv(path.with_suffix(".claims.csv")).set_index("quantity")
    assert claims.loc["mean seconds of Predict at N = 10,000 over those at N = 100", "ours"] == pytest.approx(97, abs=1)
    cifar10 = claims.index == "mean seconds of Certify with n = 100,000 of cifar10_gaussian"
    assert claims.loc[cifar10, "ours"].item() == pytest.approx(16.1, abs=0.1)  # the paper says 15
    assert (claims["within"] == ~cifar10).all()
    assert len(claims) == 4  # no ImageNet certificates here


def test_on_other_machines_ratios_alone_are_held_against_the_paper(write_run, drawn, tmp_path):
    for n, seconds in ((100, 0.01), (10_000, 0.8)):
        row = {"index": 0, "label": 3, "predict": 3, "correct": True, "seconds": seconds}
        certifier = {"type": "Predict", "n": n, "alpha": 0.001}
        write_run(tmp_path / "imagenet_gaussian" / f"{n}", [row], certifier, 0.25, 0.25)
    (path,) = drawn("cohen_time", tmp_path)
    (claim,) = pd.read_csv(path.with_suffix(".claims.csv")).itertuples()
    assert claim.quantity == "mean seconds of Predict at N = 10,000 over those at N = 100"
    assert claim.ours == pytest.approx(80)
