"""The command line in a user's folder: mistakes give one line, printed commands run, the user's own files are found."""

import dataclasses
import errno
import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from experiments.config.help import explanations
from experiments.config.schema import keys
from experiments.config.settings import Figures, Folder, PlotSettings, Settings, Shard

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]


def test_another_noise_is_not_swept_over_the_experiments_sigma(typed):
    code, out, err = typed("train.py", "-m", "experiment=digits_gaussian", "noise=dssn,band", "noise.size=2", "seed=x")
    assert code == 1
    assert "not swept" not in err  # dssn has a sigma
    code, out, err = typed("train.py", "-m", "experiment=digits_gaussian", "noise=band", "noise.size=9", "trainer.lr=0")
    assert "train.py: not swept: noise.sigma (set by the experiment's file for another choice)" in err
    assert "1 of 1 jobs failed" in out


@pytest.mark.parametrize("script", ["certify.py", "train.py", "plot.py"])
def test_help_explains_each_key(typed, script):
    code, out, _ = typed(script, "--help")
    assert code == 0
    schema = keys_of(PlotSettings if script == "plot.py" else Settings)
    for key in schema:
        assert key in explanations(script.removesuffix(".py"))
        assert re.search(rf"^  {re.escape(key)}=\S.*  \w", out, re.MULTILINE), key
    assert "hydra" not in out.lower().replace("--hydra-help", "")


def keys_of(settings):
    """The keys of a settings class; nested keys are dotted."""
    for name, key in keys(settings).items():
        below = dataclasses.fields(key.kind) if key.kind in (Figures, Folder, Shard) else ()
        yield from [f"{name}.{f.name}" for f in below] or [name]


def test_help_explains_the_keys_of_what_is_chosen(typed):
    _, out, _ = typed("certify.py", "--help", "--config-dir", "my conf", "certifier=predict", "noise.sigma=0.7")
    assert re.search(r"^      noise\.sigma=0\.7  standard deviation", out, re.MULTILINE)
    assert re.search(r"^      certifier\.alpha=\S+  \w+", out, re.MULTILINE)
    assert re.search(r"^      of .*digits_gaussian.*mine", out, re.MULTILINE)


@pytest.mark.parametrize("command", ["certify.py --help", "plot.py --help", "certify.py --cfg job"])
def test_it_ends_without_a_word_if_nobody_reads_on(at_once, tmp_path, command):
    words = f"set -o pipefail; python {ROOT / command} | head -c 1"
    done = subprocess.run(["bash", "-c", words], cwd=tmp_path, env=at_once, capture_output=True, text=True)
    assert not done.stderr
    assert done.returncode in (0, 141)
    assert len(done.stdout) == 1


def test_a_file_that_the_suites_own_would_hide_is_refused(typed, tmp_path):
    """Hydra reads the suite's file. A copy of it does no harm."""
    own = tmp_path / "hidden"
    (own / "metric").mkdir(parents=True)
    file, ours = own / "metric" / "hamming.yaml", ROOT / "conf" / "metric" / "hamming.yaml"
    file.write_text("_target_: my_metrics.Hamming\n")
    code, _, err = typed("certify.py", "--config-dir", str(own), "experiment=mine", "metric=hamming")
    assert code == 2
    assert f"{file}: the suite has another file of this name, which would be read instead; rename yours" in err
    file.write_bytes(ours.read_bytes())
    _, _, err = typed("certify.py", "--config-dir", str(own), "experiment=mine", "metric=hamming")
    assert "another file" not in err


def test_help_says_what_null_means_in_a_run(typed):
    _, out, _ = typed("certify.py", "--help", "certifier=center")
    assert re.search(r"^      noise\.grid=null .*null: the data's levels, if any; 0: no rounding$", out, re.MULTILINE)
    assert re.search(r"^      certifier\.match=null +null: n and m as given; paper: ", out, re.MULTILINE)
    assert "float32 noise, whose rounding" not in out


@pytest.mark.parametrize(
    ("fails", "says"),
    [
        ("constructor", r"KeyError: 'a key' \(.*my_network\.py:11 in __init__\)"),
        ("torch", r".*cannot be multiplied.*my_network\.py:15.*"),
    ],
)
def test_an_error_of_the_users_code_is_one_line_and_where(typed, fails, says):
    arguments = ["--config-dir", "my conf", "experiment=mine", f"model.fails={fails}"]
    code, _, err = typed("certify.py", *arguments)
    assert code == 1
    assert re.fullmatch(rf"certify\.py: {says}\n", err)
    code, _, err = typed("certify.py", *arguments, "debug=true")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert "my_network.py" in err


def test_ctrl_c_in_the_users_code_is_no_error(typed):
    code, _, err = typed("certify.py", "--config-dir", "my conf", "experiment=mine", "model.fails=stop")
    assert code == 130
    assert err == "certify.py: stopped; run the same command to resume\n"


def test_the_recorded_command_runs_as_it_stands(typed, tmp_path):
    arguments = ["experiment=mine", "--config-dir", "my conf", "eps=[0.02, 0.05]", "results.root=my results/a=b"]
    arguments[-1] = "results.root='my results/a=b'"
    code, out, err = typed("certify.py", *arguments)
    assert code == 0, err
    (record,) = (tmp_path / "my results").rglob("run.json")
    command = json.loads(record.read_text())["command"]
    python, script, *words = shlex.split(command)
    assert (python, Path(script)) == ("python", ROOT / "certify.py")
    assert words[:2] == ["--config-dir", "my conf"]
    code, again, err = typed("certify.py", *words)
    assert (code, again) == (0, out)
    assert "examples" not in err, "nothing is left to do"


def test_what_trains_is_printed_as_it_runs(typed, tmp_path):
    text = (
        (tmp_path / "my conf" / "experiment" / "mine.yaml")
        .read_text()
        .replace("override /model: null", "override /model: small_cnn\n  - override /trainer: digits")
    )
    text = re.sub(r"model:\n.*\n.*\n", "", text).replace("metric: l2", "metric: null\n  - override /certifier: certify")
    text = re.sub(r"certifier: .*\neps: .*\n", "", text).replace("mine", "trained")
    (tmp_path / "my conf" / "experiment" / "trained.yaml").write_text(text.strip())
    where = ("hydra.searchpath=['file://my conf']", "experiment=trained", "checkpoints.root='my weights'")
    code, _, err = typed("certify.py", *where)
    assert code == 1
    (command,) = re.findall(r"Train it: (.*)", err)
    _, script, *words = shlex.split(command)
    assert Path(script) == ROOT / "train.py"
    assert set(where) <= set(words)
    code, out, err = typed("train.py", *words, "trainer.epochs=1")
    assert code == 0, err
    assert out.splitlines()[-1].startswith("my weights/Digits-SmallCNN")
    (following,) = re.findall(r"^Next: (.*)$", out, re.MULTILINE)
    _, script, *words = shlex.split(following)
    assert Path(script) == ROOT / "certify.py"
    code, _, err = typed("certify.py", *words, "certifier.n=200", "limit=1")
    assert code == 0, err


def test_the_rows_that_were_asked_for_are_printed(typed):
    words = ["--config-dir", "my conf", "experiment=mine", "eps=[0.02,0.05]"]
    code, whole, err = typed("certify.py", *words)
    assert code == 0, err
    assert "asked for" not in whole
    code, out, err = typed("certify.py", *words, "indices=[1]")
    assert (code, err) == (0, "")
    header, *found, _, more, _, table = out.splitlines()
    assert [line.split()[:2] for line in found] == [["1", "0.02"], ["1", "0.05"]]
    assert header.split()[:2] == ["index", "eps_in"]
    assert more == "2 of the table's 4 rows were asked for"
    assert table == whole.splitlines()[-1]


def test_input_radii_and_a_metric_of_a_certifier_that_takes_none_are_named(typed):
    words = ["experiment=digits_gaussian", "trainer.epochs=1"]
    assert typed("train.py", *words)[0] == 0
    small = ("limit=1", "certifier.n=200", "eps=[0.1]")
    code, _, err = typed("certify.py", *words, *small)
    assert code == 0, err
    assert "left out: eps (Certify takes no input radii)\n" in err
    assert "left out: metric (Certify takes none)\n" in typed("certify.py", *words, *small[:-1], "metric=l2")[2]
    assert "left out" not in typed("certify.py", *words, *small[:-1])[2]


def test_a_sweep_ends_with_a_table(typed):
    code, out, err = typed("certify.py", "-m", "--config-dir", "my conf", "experiment=mine", "model.fails='',torch")
    assert code == 1
    header, good, bad, summary = out.rstrip().splitlines()[-4:]
    assert header.split() == ["job", "settings", "rows", "certified", "results"]
    assert re.search(r"^#0 +model\.fails='' +2 +\d+% +results/mine/[\w-]+-sigma0\.1-[\w-]+$", good)
    assert re.search(r"^#1 +model\.fails=torch +- +- +error: .*my_network.py:15.*$", bad)
    assert summary == "1 of 2 jobs failed"
    assert "Traceback" not in err


def test_an_own_figure_is_drawn_from_own_results(typed, tmp_path):
    where = ("--config-dir", "my conf", "results.root='my results'")
    code, out, err = typed("plot.py", "figure=my_figure", *where)
    assert code == 1
    expected = "expected run folders as certify.py writes them"
    assert err == f"plot.py: figure my_figure: no results in my results; {expected}\n"
    (hint,) = re.findall(r"^    (python .*)$", out, re.MULTILINE)
    _, script, *words = shlex.split(hint)
    assert typed(Path(script).name, *words)[0] == 0
    code, out, err = typed("plot.py", "figure=my_figure", *where)
    assert (code, err) == (0, "")
    assert (tmp_path / "figures" / "my_figure-digits.png").exists()
    code, out, err = typed("plot.py", "figures.only=[my_figure, cohen_bounds]", *where)
    assert (code, err) == (0, "")
    page = (tmp_path / "figures" / "index.html").read_text()
    assert re.findall(r'<article id="(\w+)"', page) == ["my_figure", "cohen_bounds"]
    assert "Every table and figure" not in page
    assert not (tmp_path / "figures" / "REPORT.md").exists()


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("[cohen_bound]", "plot.py: figures.only: no figure cohen_bound; did you mean cohen_bounds?\n"),
        (
            "cohen_bounds",
            "plot.py: figures.only: expected a list, got 'cohen_bounds'; write figures.only=[cohen_bounds]\n",
        ),
    ],
)
def test_a_figure_that_is_not_there_is_one_line(typed, only, message):
    assert typed("plot.py", f"figures.only={only}") == (1, "", message)


SEARCHED = ("hydra.searchpath=['file://my conf']",)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["local_parallel", "slurm"])
@pytest.mark.parametrize("where", [("--config-dir", "my conf"), SEARCHED])
def test_a_launcher_finds_the_users_folder(typed, at_once, tmp_path, launcher, where):
    """The Slurm launcher with submitit's executor for local processes; tests/slurm uses a cluster."""
    if launcher == "slurm":
        pytest.importorskip("submitit")
        launch = ["hydra/launcher=slurm", "+hydra.launcher.cluster=local", "hydra.launcher.gpus_per_node=null"]
    else:
        launch = ["hydra/launcher=local_parallel", "hydra.launcher.jobs=2"]
    command = ["python", str(ROOT / "certify.py"), "-m", *where, "experiment=mine", *launch]
    environment = at_once | {"PYTHONPATH": "."}  # a fork launches, its jobs are processes of their own
    done = subprocess.run(
        [*command, "model.fails='',torch"], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stderr == ""
    good, bad, summary = done.stdout.rstrip().splitlines()[-3:]
    assert re.search(r"^#0 +model\.fails='' +2 +\d+% +results/mine/[\w-]+-sigma0\.1-[\w-]+$", good)
    assert re.search(r"^#1 +model\.fails=torch +- +- +error: .*my_network.py:15.*$", bad)
    assert summary == "1 of 2 jobs failed"
    (record,) = tmp_path.rglob("run.json")
    assert json.loads(record.read_text())["command"] == shlex.join(
        ["python", str(ROOT / "certify.py"), *where, "experiment=mine", "model.fails=''"]
    )


@pytest.mark.parametrize("sbatch", ["echo 'sbatch: error: a' >&2; echo 'sbatch: fatal: no cluster' >&2; exit 1", None])
def test_slurm_without_a_cluster_is_one_line(typed, tmp_path, monkeypatch, sbatch):
    pytest.importorskip("submitit")
    (tmp_path / "bin").mkdir()
    for name in ("sbatch", "srun") if sbatch else ():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{sbatch}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin" if sbatch else str(tmp_path / "bin"))
    code, _, err = typed("certify.py", "-m", "--config-dir", "my conf", "experiment=mine", "hydra/launcher=slurm")
    assert code == 1
    why = "sbatch: fatal: no cluster" if sbatch else '.*"srun".*'
    advice = "without a cluster, hydra/launcher=local_parallel runs here"
    assert re.fullmatch(rf"certify\.py: sbatch failed: {why}; {advice}\n", err)


@pytest.mark.parametrize(
    ("script", "kind", "advice"),
    [
        ("certify.py", errno.EACCES, "choose another results.root, or change the permissions"),
        ("certify.py", errno.EROFS, "choose another results.root, or change the permissions"),
        ("plot.py", errno.EACCES, "choose another figures.root, or change the permissions"),
        ("certify.py", errno.ENOSPC, "results so far are kept; run the same command to resume"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line(typed, monkeypatch, script, kind, advice):
    def refused(path, *_, **__):
        raise OSError(kind, os.strerror(kind), str(path))

    arguments = {"certify.py": ["--config-dir", "my conf", "experiment=mine"], "plot.py": ["figure=cohen_bounds"]}
    monkeypatch.setattr(Path, "mkdir", refused)
    code, _, err = typed(script, *arguments[script])
    assert code == 1
    assert re.fullmatch(rf"{script}: \S+: {os.strerror(kind)}; {advice}\n", err)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that the kernel makes")
@pytest.mark.parametrize(
    ("script", "root", "words"),
    [
        ("certify.py", "results.root", ["--config-dir", "my conf", "experiment=mine"]),
        ("train.py", "checkpoints.root", ["experiment=digits_gaussian", "trainer.epochs=1", "device=cpu"]),
        ("plot.py", "figures.root", ["figure=cohen_bounds"]),
    ],
)
def test_a_folder_that_cannot_be_made_is_one_line(typed, script, root, words):
    code, _, err = typed(script, *words, f"{root}=/proc/x")
    assert code == 1
    assert re.fullmatch(rf"{script}: /proc/x: the folder cannot be made \(No such .*\); choose another {root}\n", err)
