"""The list of experiments: the runs that exist are computed from results/, never typed."""

import re

import pytest

from experiments.config.experiment import experiment
from experiments.report.experiments import CONF, DOCUMENT, RESULTS, examples, page, run_here, samples
from experiments.runs.committed import committed_files
from experiments.runs.reader import find_runs


def row(index, **more):
    return {"index": index, "n0": 100, "n": 1000, "seconds": 1.5, "status": "certified"} | more


def test_runs_of_another_certifier_are_counted_apart(write_run, tmp_path):
    folder = tmp_path / "digits_gaussian"
    assert run_here(experiment("digits_gaussian"), find_runs(folder)) == "no"
    write_run(folder / "a", [row(i) for i in range(4)], {"type": "Certify"}, 0.25, 0.25)
    write_run(folder / "b", [row(i, n0=0, n=10) for i in range(2)], {"type": "Predict"}, 0.25, 0.25)
    found = run_here(experiment("digits_gaussian"), find_runs(folder))
    assert found == "1 run: 4 examples, 4,400 samples, 6 s; 1 run with Predict: 2 examples, 20 samples, 3 s"


def test_what_was_not_run_is_what_results_do_not_hold():
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    kept = {file.relative_to(RESULTS).parts[0] for file in committed_files(RESULTS)}
    assert len(rows) == len(list((CONF / "experiment").glob("*.yaml")))
    for name, ran in rows:
        assert (ran == "no") == (name not in kept), name


@pytest.mark.parametrize(
    ("name", "evaluations", "count"),
    [
        ("imagenet_lpips", "14,030", "50"),
        ("generator_tvd", "14,030", "5"),
        ("mnist_tvd", "1,020,000", "50"),
        ("svhn_gaussian", "100,100", "26,032"),
        ("cifar10_gaussian", "100,100", "10,000"),
        ("imagenet_dssn", "441 to 3,091", "500"),
        ("digits_undefended", "none: DeepFool", "100"),
        ("digits_l1_tvd", "13 to 110", "50"),
        ("digits_patches", "8 to 64", "200"),
        ("mnist_patches", "28 to 784", "500"),
        ("photos_gaussian", "10,100", "24"),
        ("demo_photos", "450", "2"),
    ],
)
def test_samples_and_examples(name, evaluations, count):
    one = experiment(name)
    assert (samples(one), examples(one)) == (evaluations, count)


def test_the_list_is_up_to_date_and_only_its_marked_parts_are_written_anew():
    text = DOCUMENT.read_text()
    stale = text.replace("| `demo` | ", "| `gone` | ")
    assert stale != text
    assert page(stale) == text
    assert page(text + "More prose.\n") == text + "More prose.\n"


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_every_experiment_has_samples_and_examples(name):
    one = experiment(name)
    assert samples(one) != "0"
    assert examples(one) != "0" or one.name == "named_classifier"  # a user's own images
