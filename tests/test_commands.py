"""The commands: wrong input gives a clear line and a nonzero exit code, never a traceback."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SLOW = ("scipy.stats", "scipy.optimize", "sklearn", "torchvision", "lightning_fabric", "torch._dynamo", "triton")
CERTIFY = f"""
import atexit, gc, runpy, sys
slow = {("matplotlib", *SLOW)}
atexit.register(lambda: print([name for name in slow if name in sys.modules], gc.get_freeze_count() > 0))
del sys.argv[0]
runpy.run_path("certify.py", run_name="__main__")
"""
DRAW_FEW = """
import runpy, sys
from experiments.report import figure
select = figure.selection
few = ("center_faces", "cohen_curves", "cohen_looseness", "cohen_samples")
none = lambda chosen: figure.Selection(chosen, {}, [], 0)
figure.selection = lambda name, chosen, *given: select(name, chosen, *given) if name in few else none(chosen)
sys.argv[0] = "plot.py"
runpy.run_path("plot.py", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("experiment=celeba_jaccard",), ["celeba", "dataset.root", "dataset=faces"]),
        (("experiment=faces_jaccard", "certifer.n=3"), ["certifer"]),
        (("experiment=faces_jaccard", "+certifer.n=3"), ["did you mean certifier"]),
        (("experiment=faces_jaccard", "noise.sigma=-1"), ["noise.sigma", "-1"]),
        (("experiment=digits_gaussian", "metric=null"), ["metric=null", "~metric"]),
        (("experiment=faces_jaccard", "certifier.m=100", "certifier.bound=paper"), ["certifier.m", "12155"]),
        (("experiment=faces_jaccard", "dataset=folder", "dataset.root=/nowhere"), ["/nowhere", "dataset=faces"]),
    ],
)
def test_wrong_input_gets_a_clear_line(python, tmp_path, arguments, says):
    done = python("certify.py", *arguments, f"results.root={tmp_path}")
    output = done.stdout + done.stderr
    assert done.returncode in (1, 2)
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1
    for word in says:
        assert word in output
    assert not list(tmp_path.iterdir())


def test_a_sweep_runs_the_other_points_and_fails_at_the_end(python, tmp_path):
    small = ["certifier.n=80", "certifier.m=60", "certifier.delta=0.3", "limit=1", "eps=0.02"]
    small += ["model.min_face_size=80"]
    done = python("certify.py", "-m", *small, "noise.sigma=-1,0.1", f"results.root={tmp_path}")
    assert done.returncode == 1
    assert "noise.sigma" in done.stderr
    (record,) = tmp_path.rglob("run.json")
    command = json.loads(record.read_text())["command"]
    assert command == " ".join(["python certify.py", *small, "noise.sigma=0.1", f"results.root={tmp_path}"])
    failed, done_row, summary = done.stdout.splitlines()[-3:]
    assert "noise.sigma=-1" in failed
    assert "error: noise.sigma" in failed
    assert done_row.endswith(str(record.parent))
    assert summary == "1 of 2 jobs failed"


def test_plot_without_results_says_what_would_make_them(python, tmp_path):
    done = python("-c", DRAW_FEW, f"results.root={tmp_path}", f"figures.root={tmp_path}")
    assert done.returncode == 0
    assert "python certify.py -m experiment=faces_jaccard" in done.stdout
    done = python("plot.py", "figure=center_faces", f"results.root={tmp_path}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_run_folder_is_compared_as_it_is_typed(python, tmp_path):
    """Its name has = in it, which Hydra's grammar would refuse."""
    folder = tmp_path / "runs" / "sigma=0.12-033caf7590"  # as the suite named folders earlier
    (run,) = (ROOT / "results" / "digits_gaussian").glob("certify-sigma0.12-*")
    shutil.copytree(run, folder)
    done = python("plot.py", "figure=compare", f"source=[{folder}]", "labels=[ours (n)]", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "compare-digits_l2.png").exists()
    done = python("plot.py", "figure=compare", cwd=tmp_path)
    assert done.stderr == (
        "plot.py: figure=compare: expected the runs to compare, such as source='[results/a, results/b/<run>]'\n"
    )


def test_in_a_folder_of_ones_own_all_own_runs_are_drawn(python, tmp_path):
    """Of classes and of outputs, in one experiment. Formulas and the commands of the papers' runs are left out."""
    done = python("plot.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("plot.py: results.root: no runs in 'results'; certify.py makes them")
    for experiment, runs in (("digits_gaussian", "certify-sigma0.12-*"), ("digits_tvd", "*sigma0.1-*")):
        run = sorted((ROOT / "results" / experiment).glob(runs))[0]
        shutil.copytree(run, tmp_path / "results" / "mine" / run.name)
    done = python("plot.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    drawn = {file.name for file in (tmp_path / "figures").glob("*.png")}
    assert drawn == {"compare-digits_l2.png", "compare-digits_l2_totalvariation.png"}
    assert "certify.py -m" not in done.stdout
    assert re.search(r"\n\d+ figures of the papers have no results in 'results'; figure=<name> prints", done.stdout)
    assert re.findall(r'<article id="(\w+)"', (tmp_path / "figures" / "index.html").read_text()) == ["compare"]
    assert not (tmp_path / "figures" / "REPORT.md").exists()


def test_a_run_that_another_figure_shows_is_compared_too(python, tmp_path):
    for name in ("digits_gaussian", "mine"):
        run = sorted((ROOT / "results" / "digits_gaussian").glob("certify-sigma0.12-*"))[0]
        shutil.copytree(run, tmp_path / "results" / name / run.name)
    done = python("plot.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list((tmp_path / "figures").glob("cohen_*digits_gaussian.csv"))
    rows = (tmp_path / "figures" / "compare-digits_l2.csv").read_text()
    assert "digits_gaussian," in rows
    assert "mine," in rows


def test_one_figure_that_cannot_be_drawn_does_not_keep_the_others_from_it(python, tmp_path):
    """For example, photographs whose data set is on another machine."""
    folder = tmp_path / "results" / "cifar10_gaussian" / "sigma=0.25"
    folder.mkdir(parents=True)
    (folder / "certificates.csv").write_text("index,label\n0,1\n")
    (folder / "run.json").write_text("[]")
    done = python("-c", DRAW_FEW, f"results.root={tmp_path / 'results'}", f"figures.root={tmp_path / 'figures'}")
    assert done.returncode == 1
    assert "figure cohen_curves: " in done.stderr
    assert "not a run.json of this suite" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "figures" / "index.html").exists()
    assert (tmp_path / "figures" / "cohen_looseness.png").exists()
    assert (tmp_path / "figures" / "cohen_samples.png").exists()


def test_train_says_that_the_detector_is_trained_already(python):
    done = python("train.py", "experiment=faces_jaccard", "precision=bfloat16")
    assert done.returncode == 0
    assert "brings its own weights, so there is nothing to train" in done.stdout
    assert done.stderr == "precision is for certification only; for training, set trainer.precision\n"


@pytest.mark.parametrize("wrong", ["noise.sigma=-1", "trainer.epochs=0"])
def test_train_checks_the_settings_of_a_network_that_is_not_trained(python, wrong):
    done = python("train.py", "experiment=faces_jaccard", "trainer=digits", wrong)
    assert done.returncode == 1
    assert wrong.partition("=")[0] in done.stderr
    assert done.stderr.count("\n") == 1
    assert "nothing to train" not in done.stdout


def test_a_file_where_the_results_belong_is_one_line(python, tmp_path):
    (tmp_path / "file").write_text("")
    done = python("certify.py", "experiment=demo", f"results.root={tmp_path / 'file'}")
    assert done.returncode == 1
    assert "Not a directory; a file is where a folder must be" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def alone(*arguments):
    """A command in a process of its own, which also ends as usual: the forks of `python` skip that."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_finished_run_is_shown_without_packages_that_are_slow_to_import(python, tmp_path):
    words = ["experiment=digits_gaussian", "trainer.epochs=1", "device=cpu", f"checkpoints.root={tmp_path / 'weights'}"]
    assert python("train.py", *words).returncode == 0
    words += ["certifier.n=200", "limit=2", "batch_size=100", f"results.root={tmp_path / 'results'}"]
    first = python("certify.py", *words)
    assert first.returncode == 0, first.stderr
    again = alone("-c", CERTIFY, "certify.py", *words)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"{first.stdout}[] True\n"


def test_no_command_imports_slow_packages_before_it_reads_its_settings():
    """What is imported before `run` is never collected, and Triton complains of that at exit."""
    commands = "certify, plot, train, experiments.calibrate, experiments.again, experiments.reread"
    done = alone("-c", f"import {commands}, sys; print([name for name in {SLOW} if name in sys.modules])")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("script", ["plot.py", "train.py"])
def test_a_command_ends_without_a_word_on_stderr(script):
    done = alone(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
