"""Levine and Feizi's own files, read as runs. Here with made-up files in their format."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.papers.levine2021.published import published_runs
from experiments.papers.levine2021.results import Classifier, classifiers
from smoothing import SmoothingError

LEVELS, SIGMA = 255, 0.5
STEPS = 441  # floor(2 sqrt(3) 0.5 255)


def write(folder, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(values))


@pytest.fixture
def source(tmp_path):
    votes = np.array([[400, 41, 0], [200, 241, 0], [220, 220, 1]])
    write(
        tmp_path / "cifar_split_derandomized_0.5",
        labels=[0.0, 0.0, 0.0],
        preds=votes / STEPS,
        radius_l1=np.float32([179 / 255, 20 / 255, 0.0]),
        time_per=0.06,
    )
    write(
        tmp_path / "cifar_uniform_0.5_stabilized",
        labels=[0.0, 1.0, 1.0],
        preds=[[1.0, 0, 0], [0, 0.6, 0.4], [0.9, 0.1, 0]],
        radius_l1=np.float32([0.8, -0.1, 0.5]),
        prob_lb=[0.96, 0.44, 0.79],
        time_per=13.0,
    )
    write(tmp_path / "something_else_0.5", radius_l1=[0.0])
    return tmp_path


def test_they_are_read_as_runs_of_the_methods_that_they_are_of(source):
    runs = published_runs(source)
    assert list(classifiers(runs)) == [Classifier("uniform", "", True, 0.5), Classifier("DSSN", "", False, 0.5)]
    exact, uniform = runs
    assert exact.table["radius_steps"].tolist() == [179, 20, 0]
    assert exact.table["radius"].tolist() == [179 / 255, 20 / 255, 0.0]  # and not float32's
    assert exact.table["n"].tolist() == [STEPS] * 3
    assert exact.table["correct"].tolist() == [True, False, True]  # a tie goes to the lower class
    assert uniform.table["predict"].tolist() == [0, -1, 0]  # they never abstain and print negative radii
    assert uniform.table["guess"].tolist() == [0, 1, 0]
    assert uniform.table["radius"].tolist() == pytest.approx([0.8, 0.0, 0.5])
    assert uniform.table["correct"].tolist() == [True, False, False]
    assert (uniform.table["seconds"] == 13.0).all()


def test_a_radius_that_its_counts_do_not_give_is_refused(source):
    folder = source / "cifar_split_derandomized_0.5"
    write(folder, radius_l1=np.float32([180 / 255, 20 / 255, 0.0]))
    with pytest.raises(SmoothingError, match="radius of example 0 contradicts its counts"):
        _ = published_runs(source)[0].table


def test_files_of_different_lengths_and_missing_ones_are_refused(source):
    write(source / "cifar_split_derandomized_0.5", labels=[0.0])
    (source / "cifar_uniform_0.5_stabilized" / "prob_lb.npy").unlink()
    for run, message in zip(published_runs(source), ("different lengths", "prob_lb"), strict=True):
        with pytest.raises(SmoothingError, match=message):
            _ = run.table


def test_pickled_files_are_not_opened(source):
    folder = source / "cifar_split_derandomized_0.5"
    np.save(folder / "labels.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SmoothingError, match="not a results folder"):
        _ = published_runs(source)[0].table


def test_their_results_with_a_denoiser_are_those_of_its_three_trainings(tmp_path, drawn):
    """27 folders: three trainings, three noises, three sigmas; the first two trainings have no times."""
    for loss in ("mse", "stability", "mse_retrain"):
        for sigma in (0.5, 2.0, 3.5):
            steps = int(2 * 3**0.5 * sigma * LEVELS)
            votes = np.array([[steps - 2, 2], [steps // 3, steps - steps // 3]])
            folder = tmp_path / "denoise_results" / loss
            first, second = votes[0, 0] - votes[0, 1], votes[1, 1] - votes[1, 0] - 1  # a tie goes to class 0
            radius = np.array([first // 2, second // 2])
            write(
                folder / f"cifar_split_derandomized_{sigma}",
                labels=[0.0, 0.0],
                preds=votes / steps,
                radius_l1=radius / LEVELS,
            )
            for method in ("split", "uniform"):
                write(
                    folder / f"cifar_{method}_{sigma}",
                    labels=[0.0, 1.0],
                    preds=[[1.0, 0.0], [1.0, 0.0]],
                    radius_l1=[0.4, -0.1],
                    prob_lb=[0.9, 0.4],
                )
    runs = published_runs(tmp_path)
    assert len(runs) == 27
    assert len(classifiers(runs)) == 27
    assert all(run.table["seconds"].isna().all() for run in runs)
    assert published_runs(tmp_path / "denoise_results" / "mse")[0].identity["training"]["loss"] == "mse"
    (path,) = drawn("dssn_denoiser", tmp_path / "out", source=tmp_path)
    assert "cifar10_published" in path.stem
    table = pd.read_csv(path.with_suffix(".csv"))
    assert sorted(table["denoiser"].unique()) == ["MSE", "MSE, classifier retrained", "stability"]
    assert drawn("dssn_time", tmp_path / "out", source=tmp_path) == []


def test_the_committed_table_of_their_files_has_the_columns_that_are_written_today(source, tmp_path, drawn):
    (path,) = drawn("dssn_table_cifar10", tmp_path / "out", source=source)
    committed = pd.read_csv(Path(__file__).parents[4] / "docs" / "dssn_table_cifar10_published.csv")
    assert list(pd.read_csv(path.with_suffix(".csv"))) == list(committed)
    assert len(committed) == 48  # four methods and SSN with and without stability training, eight radii
    assert committed["within"].dropna().all()
    assert committed["within"].notna().sum() == 32
