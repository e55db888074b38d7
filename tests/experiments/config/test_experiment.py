"""The description of an experiment, and the sweep that `-m` runs without further arguments."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.experiment import experiment
from experiments.config.identity import identity
from smoothing import SettingError

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]
NAMES = sorted(file.stem for file in (ROOT / "conf" / "experiment").glob("*.yaml"))
FILES = [*(ROOT / "conf" / "experiment").glob("*.yaml"), *(ROOT / "conf" / "preset").glob("*.yaml")]
PAPERS_FIVE = ["0.1", "0.2", "0.3", "0.4", "0.5"]
MINE = """# @package _global_
defaults:
  - override /model: mtcnn
name: mine
hydra:
  sweeper:
    params:
      noise.sigma: 0.1,0.2
"""


@pytest.fixture
def points(python):
    """points(...): what train.py -m names as the next command of each point, and all that it said.

    Of a network that brings its own weights it trains nothing.
    """

    def run(*arguments, cwd=ROOT):
        done = python("train.py", "-m", *arguments, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return re.findall(r"Next: python \S*certify\.py (.*)$", done.stdout, re.MULTILINE), done

    return run


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_says_what_it_is(name):
    one = experiment(name)
    assert one.config.name == name
    assert one.paper in (
        "Center smoothing",
        "Cohen et al.",
        "Levine and Feizi",
        "Training methods",
        "Other papers",
        "Ours",
    )
    assert one.shows
    assert one.item or one.paper == "Ours"
    assert bool(one.needs) != name.startswith(("demo", "diabetes", "digits", "faces", "person", "photos", "portraits"))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_from_its_files_is_what_hydra_composes(name):
    one = experiment(name)
    cfg = one.config
    said = tuple(cfg[key] or "" for key in ("paper", "item", "shows", "needs"))
    assert (one.paper, one.item, one.shows, one.needs) == said
    assert one.sweep == {key: str(values) for key, values in (cfg.hydra.sweeper.params or {}).items()}
    assert one.trained == bool(cfg.trainer)


def test_what_it_says_is_no_part_of_a_runs_identity(settings):
    plain = settings("experiment=digits_dssn")
    assert plain.paper == "Levine and Feizi"
    other = settings("experiment=digits_dssn", "paper=Mine", "item=none", "shows=nothing", "needs=time")
    assert identity(plain, "") == identity(other, "")


def test_the_commands_of_an_experiment_are_short():
    assert experiment("digits_dssn").commands() == [
        "python train.py -m experiment=digits_dssn",
        "python certify.py -m experiment=digits_dssn",
    ]
    assert experiment("celeba_jaccard").commands() == ["python certify.py -m experiment=celeba_jaccard"]
    assert experiment("svhn_gaussian").commands()[1] == "python certify.py experiment=svhn_gaussian"
    assert experiment("svhn_gaussian").commands("certifier.n=10,20")[1].startswith("python certify.py -m ")


def test_the_papers_sweeps():
    fig_5, fig_6 = (experiment(f"mnist_{metric}").sweep for metric in ("tvd", "l2"))
    assert fig_5["noise.sigma"].split(",") == [*PAPERS_FIVE, *(str(eps / 1.5) for eps in (0.2, 0.4, 0.8, 1.0))]
    assert fig_6["noise.sigma"].split(",") == PAPERS_FIVE
    assert experiment("digits_dssn").sweep == {"noise.sigma": "0.25,0.5,1.0,2.0,3.5", "trainer.stability": "0,6"}
    assert experiment("cifar10_wong").sweep == {"model": "wong_resnet,resnet20,resnet110"}
    assert experiment("digits_undefended").sweep == {}


def test_no_sweep_is_written_twice():
    nodes = [OmegaConf.load(file) for file in FILES]
    sweeps = [tuple(sorted(node.hydra.sweeper.params.items())) for node in nodes if "hydra" in node]
    assert len(sweeps) > 10
    assert len(sweeps) == len(set(sweeps))


def test_every_preset_is_of_several_experiments():
    named = [str(each) for file in FILES for each in OmegaConf.load(file).get("defaults", ())]
    for file in (ROOT / "conf" / "preset").glob("*.yaml"):
        assert named.count(f"/preset/{file.stem}") >= 2, file


def test_minus_m_alone_sweeps_what_the_file_says(points):
    swept, _ = points("experiment=faces_jaccard")
    assert swept == [
        f"noise.sigma={sigma} experiment=faces_jaccard" for sigma in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
    ]
    typed, _ = points("experiment=faces_jaccard", "noise.sigma=0.12,0.7")
    assert [line.split()[0] for line in typed] == ["noise.sigma=0.12", "noise.sigma=0.7"]


def test_several_experiments_sweep_what_is_typed_alone(points):
    swept, done = points("experiment=faces_jaccard,celeba_jaccard")
    assert swept == ["experiment=faces_jaccard", "experiment=celeba_jaccard"]
    assert "several experiments: their sweeps are ignored" in done.stderr


@pytest.mark.parametrize("launcher", ["basic", pytest.param("local_parallel", marks=pytest.mark.slow)])
def test_a_users_experiment_sweeps_under_every_launcher_and_need_not_say_what_it_is(points, tmp_path, launcher):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "mine.yaml").write_text(MINE)
    given = ("--config-dir", "conf", f"hydra/launcher={launcher}", "experiment=mine", "checkpoints.root=weights")
    _, done = points(*given, cwd=tmp_path)
    printed = done.stdout + "".join(log.read_text() for log in sorted(tmp_path.rglob("*.log")))
    assert re.findall(r"Next: .* noise\.sigma=(\S+)", printed) == ["0.1", "0.2"]


@pytest.mark.parametrize("base", ["digits_gaussian", "/experiment/digits_gaussian"])
def test_an_experiment_on_top_of_another_has_its_sweep_and_its_training(tmp_path, monkeypatch, base):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text(f"# @package _global_\ndefaults:\n  - {base}\n  - _self_\nname: mine\n")
    monkeypatch.setattr("experiments.config.experiment.config_folders", lambda: [tmp_path, ROOT / "conf"])
    train, certify = experiment("mine").commands()
    assert (train, certify) == ("python train.py -m experiment=mine", "python certify.py -m experiment=mine")
    assert experiment("mine").sweep == experiment("digits_gaussian").sweep


def test_an_experiment_that_is_not_there():
    with pytest.raises(SettingError, match="no experiment 'missing'"):
        experiment("missing")
