"""A group's choice on the command line drops what the experiment's file sets for another choice, and nothing else."""

import pytest
from hydra import compose, initialize_config_dir

from experiments.config.check import checked
from experiments.config.command_line import CONF
from experiments.config.left_out import sweep_without_others
from experiments.config.schema import register
from experiments.config.settings import Settings
from smoothing import SettingError


@pytest.fixture
def typed():
    """typed("noise=band") is the checked settings of a command line."""
    register()

    def settings(*words):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return checked(compose("certify", list(words)), Settings, words)

    return settings


def test_settings_of_another_noise_and_certifier_are_left_out_and_named(typed, capsys):
    found = typed("noise=band", "noise.size=3", "certifier=exact", "limit=2")
    assert found.noise.as_dict() == {"_target_": "smoothing.BandAblation", "size": 3}
    assert found.certifier.name == "ExactCertify"
    assert found.eps is None
    assert found.limit == 2
    said = capsys.readouterr().err
    assert said.startswith("left out: certifier.n, certifier.m, certifier.delta, eps (")
    assert said.count("\n") == 1


def test_radii_in_units_of_a_sigma_are_left_out_where_there_is_none(typed, capsys):
    assert typed("noise=ablation", "noise.keep=9").eps is None
    assert capsys.readouterr().err.startswith("left out: eps (")
    assert typed("noise=ablation", "noise.keep=9", "eps=2").eps == 2


def test_settings_that_the_other_choice_knows_are_kept(typed, capsys):
    balanced = typed("certifier=balanced", "certifier.q=0.7", "certifier.rho=1")
    assert balanced.certifier.get("n") == 700
    assert balanced.eps == [0.1, 0.2]
    assert "certifier.delta" in capsys.readouterr().err
    assert typed("noise=uniform").eps == pytest.approx([0.5, 1.0])  # once and twice its own sigma
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["noise=band", "noise.size=3", "noise.sigma=0.5"], r"noise\.sigma: no such key; known: size"),
        (["noise=band", "noise.size=3", "+noise.sigma=0.5"], r"noise\.sigma: no such key; known: size"),
        (["certifier=certify", "++certifier.m=3"], r"certifier\.m: no such key"),
        (
            ["experiment=mnist_macer", "noise=ablation"],
            r"trainer\.weight: it depends on noise\.sigma, which",
        ),
        (["eps=${noise.sgima}"], r"eps: it depends on noise\.sgima, which is not set; type a value"),
        (["certifier=exact_mean"], r"certifier\.low: it has no default; type a value"),
        (["+certifier.q=3"], r"certifier\.q: no such key"),
        (["noise._target_=smoothing.BandAblation"], r"noise\.sigma: no such key"),
        (["noise=gaussian", "noise._target_=smoothing.Gausian"], r"no class smoothing\.Gausian"),
    ],
)
def test_what_is_typed_is_never_left_out(typed, words, message):
    with pytest.raises(SettingError, match=message):
        typed(*words)


@pytest.mark.parametrize(
    ("words", "replaced", "left"),
    [
        (["experiment=digits_gaussian", "noise=band"], [], ["noise.sigma"]),
        (["noise=band,block"], [], ["noise.sigma"]),  # of the default experiment, digits_gaussian
        (["experiment=digits_dssn", "noise=band"], ["trainer.stability=0,6"], ["noise.sigma"]),
        (["experiment=digits_dssn", "noise=band", "trainer.stability=1"], [], ["noise.sigma"]),
        (["experiment=digits_dssn", "noise=uniform"], None, []),
        (["experiment=digits_dssn", "noise=uniform,band"], None, []),  # some have it
        (["experiment=digits_dssn", "noise=band", "noise.sigma=1,2"], None, []),  # typed, so it will be refused
        (["experiment=digits_dssn", "noise=mine"], None, []),  # no such file: Hydra says so
        (["experiment=digits_dssn"], None, []),
        (["experiment=nothing", "noise=band"], None, []),
    ],
)
def test_a_sweep_over_what_the_choice_lacks_is_dropped(words, replaced, left):
    expected = [] if replaced is None else ["hydra.sweeper.params=null", *replaced]
    assert sweep_without_others("train", words, (CONF,)) == (expected, left)


def test_a_mistake_in_an_own_experiment_is_refused_unless_its_group_is_typed(typed, tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nname: mine\nnoise:\n  knid: 3\n")
    own = ["experiment=mine", f"hydra.searchpath=[file://{tmp_path}]"]
    with pytest.raises(SettingError, match=r"noise\.knid: no such key"):
        typed(*own)
    assert typed(*own, "noise=gaussian").noise.get("knid") is None


INLINE = """# @package _global_
defaults:
  - override /dataset: null
  - override /model: null
  - override /noise: null
  - override /certifier: null
  - override /metric: null
name: mine
dataset: {_target_: experiments.data.Latents, count: 3}
model: {_target_: torch.nn.Linear, in_features: 4, out_features: 2}
noise: {_target_: smoothing.Uniform, sigma: 0.7}
certifier: {_target_: smoothing.Certify, n: 300, alpha: 0.01}
metric: {_target_: smoothing.TotalVariation, span: 3}
trainer: {_target_: experiments.training.AutoencoderTrainer, epochs: 3, batch_size: 8, lr: 0.1}
eps: ["${noise.sigma}"]
"""


@pytest.fixture
def inline(tmp_path):
    """The words that choose an experiment whose file names all its classes itself."""
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(INLINE)
    return ["experiment=mine", f"hydra.searchpath=[file://{tmp_path}]"]


@pytest.mark.parametrize(
    ("word", "expected", "said"),
    [
        ("dataset=digits", {"_target_": "experiments.data.Digits"}, "dataset.count"),
        ("model=small_cnn", {"_target_": "models.classifiers.SmallCNN"}, "model.in_features, model.out_features"),
        ("metric=l2", {"_target_": "smoothing.L2", "span": float("inf")}, "metric.span"),
        (
            "trainer=mnist",
            {"_target_": "experiments.training.Trainer", "epochs": 90},
            "trainer.epochs, trainer.batch_size, trainer.lr",
        ),
        ("noise=gaussian", {"_target_": "smoothing.Gaussian", "sigma": 0.7}, ""),
        ("certifier=center", {"_target_": "smoothing.CenterSmoothing", "n": 300, "m": 1000}, "certifier.alpha"),
    ],
)
def test_a_typed_choice_replaces_a_class_that_the_experiments_file_names(typed, inline, capsys, word, expected, said):
    found = getattr(typed(*inline, word), word.partition("=")[0]).as_dict()
    assert {key: found[key] for key in expected} == expected
    origin = f"left out: {said} (set by the experiment's file for another choice)\n" if said else ""
    assert capsys.readouterr().err == origin


def test_what_is_typed_for_such_a_choice_counts_and_is_checked(typed, inline):
    assert typed(*inline, "model=small_cnn", "model.width=8").model.get("width") == 8
    assert typed(*inline, "noise=gaussian", "noise.sigma=0.2").eps == [0.2]
    with pytest.raises(SettingError, match=r"model\.in_features: no such key"):
        typed(*inline, "model=small_cnn", "model.in_features=8")
    assert typed(*inline, "model=small_cnn", "model._target_=models.classifiers.LeNet").model.name == "LeNet"


def test_a_key_that_the_choice_sets_is_not_said_to_be_the_experiments(typed, capsys):
    assert typed("metric=l2", "metric._target_=smoothing.Angular").metric.name == "Angular"
    assert capsys.readouterr().err == "left out: metric.largest, metric.span (set by metric=l2 for another class)\n"
