"""Mistakes on the command line and in an experiment's file: one line that says what to type."""

import re

import pytest

from experiments.config.refused import with_round_values

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["noise.sigam=0.1"], "noise.sigam: no such key; did you mean noise.sigma?"),
        (["+noise.sigam=1"], "noise.sigam: no such key; did you mean noise.sigma?"),
        (["nosie.sigma=0.1"], "nosie: no such key; did you mean noise?"),
        (["certifer=predict"], "certifer: no such key; did you mean certifier?"),
        (["sigma=0.5"], "sigma: no such key; did you mean noise.sigma?"),
        (["results.rot=x"], "results.rot: no such key; did you mean results.root?"),
        (["metric.x=1"], "metric.x: no such key; known: none"),
        (["trainer.lr=1"], "trainer: nothing is chosen, so it has no keys; choose one first"),
        (["hydra.launchr.jobs=2"], "hydra.launchr: no such key; did you mean hydra.launcher?"),
        (["experiment=digits_gausian"], "did you mean digits_gaussian?"),
        (
            ["dataset=digit"],
            "dataset=digit: no file dataset/digit.yaml (a file of your own needs --config-dir); did you mean digits?",
        ),
        (["hydra/launcher=local_paralel"], "did you mean local_parallel?"),
        (["hydra/launchr=basic"], "hydra/launchr: no such group; did you mean hydra/launcher?"),
        (["--config-name", "certfy"], "--config-name certfy: no file certfy.yaml in "),
        (["--config-dir", "nowhere"], "--config-dir: no folder 'nowhere'"),
        (["--multirunn"], "--multirunn: no such option; did you mean --multirun?"),
        (["--experiment=mine"], "--experiment=mine: no such option; did you mean experiment=mine?"),
        (["limit"], "limit: expected key=value"),
        (["eps=[0.1"], "eps=[0.1: expected key=value; close brackets and quotes"),
        (["limit=three"], "limit: expected a whole number, got 'three'"),
        (["noise.sigma=abc"], "noise.sigma: expected a number, got 'abc'"),
        (["noise.sigma=null"], "noise.sigma: expected a number, got null"),
        (["noise.sigma=[0.1,0.2]"], "noise.sigma: expected a number, got [0.1, 0.2]; type one, and -m for several"),
        (["noise.sigma="], "noise.sigma: expected a number, got ''"),
        (["certifier.n=1.5"], "certifier.n: expected a whole number, got 1.5"),
        (["debug=perhaps"], "debug: expected true or false, got 'perhaps'"),
        (["indices=3"], "indices: expected a list, got 3; write indices=[3]"),
        (["also=vectors"], "also: expected a list, got 'vectors'; write also=[vectors]"),
        (["shard=2"], "shard: expected shard.index= and shard.count=, got 2"),
        (["expriment=demo"], "expriment: no such key; did you mean experiment?"),
        (["shard.index=range(2)"], "shard.index=range(2): several values need -m"),
        (["noise.sigma=0.1,0.2"], "noise.sigma=0.1,0.2: several values need -m"),
        (["~metrik"], "~metrik: there is no metrik; did you mean metric?"),
        (["hydra/launcher=slurm"], "hydra/launcher=slurm: needs -m"),
        (["metric=null"], "metric=null: leave it out, or remove a default with '~metric'\n"),
        (["model=null"], "with '~model'; for a class of your own, '~model' model._target_=my_module.MyClass"),
        (["~model"], "--help lists the choices; or set a class of your own, model._target_="),
        (
            ["experiment=digits_gaussian", "model._target_=my_network.Network"],
            "model.width: no such key; known: fails. It is set for another class than model._target_=; to remove it, "
            "type also '~model.width'",
        ),
        (["experiment=digits_gaussian", "model._target_=my_network.Network", "model.width=3"], "known: fails\n"),
        (["seed=-1"], "seed: expected at least 0, got -1"),
        (
            ["experiment=digits_gaussian", "checkpoint=nothing.pt"],
            "checkpoint: no file or folder 'nothing.pt'; leave checkpoint= out to use that of train.py",
        ),
        (["--config-path", "/nowhere"], "--config-path: no folder '/nowhere'; to add files of your own"),
        (["seed=1", "-m", "noise.sigam=1"], "noise.sigam: no such key; did you mean noise.sigma?"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_type(typed, tmp_path, arguments, line):
    code, out, err = typed("certify.py", *arguments, "results.root=results")
    assert code in (1, 2)
    said = [text for text in err.splitlines() if text.strip()]
    assert len(said) == 1
    assert said[0].startswith("certify.py: ")
    assert line in said[0] + "\n"
    assert "HYDRA_FULL_ERROR" not in out + err
    assert not list(tmp_path.rglob("*.csv"))


def test_yaml_that_cannot_be_read_is_named_with_its_line(typed, tmp_path):
    (tmp_path / "my conf" / "experiment" / "broken.yaml").write_text("# @package _global_\nname: [a\nseed: 1\n")
    code, _, err = typed("certify.py", "--config-dir", "my conf", "experiment=broken")
    assert code == 1
    assert re.search(r"^certify.py: .*broken\.yaml.*line 3", err)
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "experiment/broken.yaml: the file is empty"),
        ("# nothing yet\n", "experiment/broken.yaml: the file is empty"),
        ("name: a\n", "experiment/broken.yaml: its first line must be # @package _global_"),
        ("defaults:\n  - override /dataset: digits\n", "its first line must be # @package _global_"),
        (
            "# @package _global_\ndefaults:\n  - /dataset: digits\nname: a\n",
            "experiment/broken.yaml: dataset has a choice already; write '- override /dataset: digits' in the defaults",
        ),
        (
            "# @package _global_\ndefaults:\n  - metric: l2\n",
            "experiment/broken.yaml: write '- override /metric: l2' in the defaults",
        ),
        (
            "# @package _global_\ndefaults:\n  - override /dataset: digits\n  - metric: l2\n",
            "experiment/broken.yaml: write '- override /metric: l2' in the defaults",
        ),
        (
            "# @package _global_\ndefaults:\n  - override /metrics: l2\n",
            "experiment/broken.yaml: override /metrics: no such group; did you mean metric?",
        ),
        ("# @package _global_\nlimt: 3\n", "experiment/broken.yaml: limt: no such key; did you mean limit?"),
        ("# @package _global_\nresults: {rot: x}\n", "experiment/broken.yaml: rot: no such key; did you mean root?"),
        ("# @package _global_\nnoise:\n\tsigma: 1\n", "cannot start any token; indent with spaces"),
    ],
)
def test_what_an_experiments_file_lacks_is_named(typed, tmp_path, text, says):
    (tmp_path / "my conf" / "experiment" / "broken.yaml").write_text(text)
    code, _, err = typed("certify.py", "--config-dir", "my conf", "experiment=broken")
    assert code == 1
    assert err.endswith(f"{says}\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed_word", "swept"),
    [
        ("noise.sigma=range(0.1,0.4,0.1)", "noise.sigma=0.1,0.2,0.3"),  # Hydra: 0.1,0.2,0.30000000000000004,0.4
        ("noise.sigma=range(0.4,0.1,-0.1)", "noise.sigma=0.4,0.3,0.2"),
        ("+noise.sigma=range(0.5,2)", "+noise.sigma=0.5,1.5"),
        ("seed=range(3)", "seed=range(3)"),
        ("seed=range(0.1,0.1,0.1)", "seed=range(0.1,0.1,0.1)"),
        ("noise.sigma=0.1,0.2", "noise.sigma=0.1,0.2"),
        ("eps=[0.1", "eps=[0.1"),
    ],
)
def test_ranges_have_the_values_that_are_typed(typed_word, swept):
    assert with_round_values(typed_word) == swept
