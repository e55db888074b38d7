"""Configurations: every experiment composes, and every mistake is found."""

import dataclasses
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.config.check import checked, checked_group
from experiments.config.experiment import experiment as read
from experiments.config.identity import GROUPS, flattened
from experiments.config.schema import register, schema
from experiments.config.settings import Settings
from smoothing import Gaussian, SettingError

CONF = Path(__file__).parents[3] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))


@pytest.mark.long
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes(settings, experiment):
    plain = settings(f"experiment={experiment}")
    assert plain.name == experiment
    assert list(plain.as_dict()) == [f.name for f in dataclasses.fields(Settings)]
    assert (CONF / "experiment" / f"{experiment}.yaml").read_text().startswith("# @package _global_\n")
    assert read(experiment).commands()[-1].startswith("python certify.py")


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_of_every_group_is_a_class_with_those_arguments(group):
    register()
    files = sorted((CONF / group).glob("*.yaml"))
    assert files
    beside = {"seed": 0} | ({} if group == "noise" else {"noise": {"sigma": 0.25}})
    for file in files:
        node = OmegaConf.to_container(OmegaConf.merge(beside, {group: OmegaConf.load(file)}), resolve=True)[group]
        filled = {key: "1" if value == "???" else value for key, value in node.items()}
        assert checked_group(group, filled).as_dict().keys() >= filled.keys()


@pytest.mark.parametrize("key", ["results.root", "checkpoint", "dataset.root"])
def test_a_path_may_begin_with_the_home_folder(settings, monkeypatch, key):
    monkeypatch.setenv("HOME", "/of/mine")
    found = settings("dataset=folder", "dataset.root=photos", f"{key}='~/a b'")
    assert flattened(found.as_dict())[key] == "/of/mine/a b"


def test_eps_follows_sigma(settings):
    assert settings("noise.sigma=0.15").eps == [0.15, 0.3]
    assert settings("eps=0.1").eps == 0.1


def test_the_papers_settings_are_the_defaults_of_its_experiment(settings):
    plain = settings("experiment=celeba_jaccard")
    expected = {"n": 5000, "m": 10_000, "delta": 0.05, "alpha1": 0.005, "alpha2": 0.005, "bound": "paper"}
    assert expected.items() <= plain.certifier.arguments.items()
    assert plain.dataset.get("count") == 50


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+certifer.n=3", "certifer: no such key; did you mean certifier"),
        ("+noise.simga=3", "noise.simga: no such key; did you mean noise.sigma"),
        ("noise.sigma=abc", "noise.sigma: .*abc"),
        ("certifier.n=1.5", "certifier.n: "),
        ("noise._target_=smoothing.Gausian", "noise._target_: no class smoothing.Gausian"),
        ("dataset=folder", "dataset.root: "),
    ],
)
def test_mistakes_are_named(settings, override, message):
    with pytest.raises(SettingError, match=message):
        settings(override)


def test_what_no_command_can_do_without_is_asked_for(settings):
    nothing = OmegaConf.merge(schema(Settings), {"name": "mine", "eps": None})
    with pytest.raises(SettingError, match=r"^dataset: expected a choice, got none"):
        checked(nothing, Settings)
    with pytest.raises(SettingError, match=r"^certifier: expected _target_, the class to use, got none"):
        settings("~certifier")
    assert settings("~metric").metric is None


def test_a_mistyped_key_in_an_experiment_file_is_found(settings, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\nnoise:\n  knid: 3\n")
    with pytest.raises(SettingError, match=r"noise\.knid: no such key"):
        settings("experiment=mine", f"hydra.searchpath=[file://{tmp_path}]")


def test_values_take_the_type_of_the_argument():
    group = checked_group("noise", {"_target_": "smoothing.Gaussian", "sigma": 1})
    assert isinstance(group.get("sigma"), float)
    assert isinstance(group.build(), Gaussian)


def test_the_slurm_launcher_composes():
    from hydra import compose, initialize_config_dir

    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("certify", ["hydra/launcher=slurm"], return_hydra_config=True)
    assert cfg.hydra.launcher._target_.endswith("SlurmTableLauncher")
    assert cfg.hydra.launcher.max_num_timeout > 0
