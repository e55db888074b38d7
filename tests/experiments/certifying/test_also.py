"""also=: certificates under several metrics from the same outputs equal those of separate runs."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from experiments.certifying import build
from experiments.certifying.certification import certify, certify_together
from experiments.runs.table import read_table
from experiments.training import loop
from smoothing import SettingError
from smoothing.base_function import FrozenFunction

REPOSITORY = Path(__file__).parents[3]
METRICS = {"digits_tvd": "tvd", "digits_l2": "l2", "digits_angular": "angular"}
QUICK = ("experiment=digits_tvd", "trainer.epochs=2", "trainer.lr_step=2", "device=cpu", "noise.sigma=0.2")
SMALL = ("eps=0.2", "certifier.n=300", "certifier.m=200", "certifier.delta=0.15", "batch_size=50")


@pytest.fixture(scope="module")
def checkpoints(composed, tmp_path_factory):
    """The folder with one trained autoencoder."""
    root = tmp_path_factory.mktemp("checkpoints")
    loop.train(composed(*QUICK, f"checkpoints.root={root}"))
    return root


@pytest.fixture
def plain_of(checkpoints, settings, tmp_path):
    """plain_of(metric, folder, ...): settings of a run with a metric, for one trained autoencoder."""

    def made(name, results, *more):
        typed = (f"name={name}", f"metric={METRICS[name]}", f"results.root={tmp_path / results}")
        metric = () if name == "digits_tvd" else ("~metric.span",) if METRICS[name] == "angular" else ()
        return settings(*QUICK, *SMALL, f"checkpoints.root={checkpoints}", *typed, *metric, *more)

    return made


@pytest.fixture
def rows_seen(monkeypatch):
    """A list that grows with the number of inputs of each call of a base function."""
    seen, plain = [], FrozenFunction.__call__

    def counted(self, batch):
        seen.append(len(batch))
        return plain(self, batch)

    monkeypatch.setattr(FrozenFunction, "__call__", counted)
    return seen


def tables(paths):
    return [read_table(path.parent).drop(columns="seconds") for path in paths]


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_together_is_the_same_as_alone_for_a_third_of_the_work(plain_of, rows_seen, precision):
    more = ("limit=2", f"precision={precision}")
    alone = [certify(plain_of(name, "alone", *more)) for name in METRICS]
    each = sum(rows_seen)
    rows_seen.clear()
    together = certify_together([plain_of(name, "together", *more, f"shows={name}") for name in METRICS]).tables
    assert each > 3 * 2 * (2 * 300 + 200)
    assert sum(rows_seen) < each / 2.5
    for one, other in zip(tables(alone), tables(together), strict=True):
        assert (one["status"] == "certified").all()
        pd.testing.assert_frame_equal(one, other)
    assert [path.parent.name for path in alone] == [path.parent.name for path in together]


def test_it_continues_where_each_of_them_stands(plain_of, rows_seen):
    whole = certify_together([plain_of(name, "whole", "limit=3") for name in METRICS]).tables
    certify(plain_of("digits_l2", "cut", "limit=2"))
    certify_together([plain_of(name, "cut", "limit=1") for name in ("digits_tvd", "digits_l2")])
    cut = certify_together([plain_of(name, "cut", "limit=3") for name in METRICS]).tables
    for one, other in zip(tables(whole), tables(cut), strict=True):
        pd.testing.assert_frame_equal(one, other)
    rows_seen.clear()
    certify_together([plain_of(name, "cut", "limit=3") for name in METRICS])
    assert not rows_seen


def test_every_base_function_is_moved_to_the_device(plain_of):
    """Each run asks its own model, such as a reconstructor, for the measurements of an image."""
    several = [plain_of(name, "moved") for name in METRICS]
    runs = build.assembled(several, several[0].dataset.build(), torch.device("meta"))
    assert [{weight.device.type for weight in run.certifier.f.f.parameters()} for run in runs] == [{"meta"}] * 3


@pytest.mark.parametrize("names", [("mnist_tvd", "mnist_l2", "mnist_angular"), ("generator_tvd", "generator_l2")])
def test_experiments_with_other_descriptions_share_outputs(settings, names):
    """The commands in docs/experiments.md: such experiments also differ in what they show, and in their item."""
    several = [settings(f"experiment={name}") for name in names]
    assert len({one.shows for one in several}) == len(names)
    build._require_alike(several)


def test_what_differs_in_more_than_the_metric_is_refused(plain_of):
    both = [plain_of("digits_tvd", "x"), plain_of("digits_l2", "x", "certifier.m=300", "seed=1")]
    with pytest.raises(SettingError, match=r"also: digits_l2 and digits_tvd differ in certifier\.m, seed"):
        certify_together(both)


@pytest.mark.parametrize("other", ["noise.sigma=0.25", "noise=uniform", "precision=bfloat16", "dataset=faces"])
def test_runs_of_another_noise_or_function_are_refused(settings, other):
    both = [settings("experiment=digits_tvd", *more) for more in ((), ("name=other", other))]
    with pytest.raises(SettingError, match=r"also: other and digits_tvd differ in "):
        certify_together(both)


def test_the_same_run_twice_is_refused(plain_of):
    alone = plain_of("digits_l2", "twice")
    with pytest.raises(SettingError, match=r"also: .*digits_l2/.* would be computed twice; name each experiment once"):
        certify_together([alone, alone])


def test_what_is_not_center_smoothing_is_refused(trained, settings, tmp_path):
    root = trained("trainer.epochs=1", "trainer.lr_step=1").parent
    typed = ("trainer.epochs=1", "trainer.lr_step=1", f"checkpoints.root={root}", f"results.root={tmp_path}")
    with pytest.raises(SettingError, match=r"also: only certificates of center smoothing"):
        certify_together([settings("experiment=digits_gaussian", f"name={name}", *typed) for name in ("a", "b")])


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("also=[digits_none]", "also: digits_none: "),
        ("also=[faces_jaccard]", "also: faces_jaccard and digits_tvd differ"),
    ],
)
def test_from_the_command_line_it_is_one_line(python, typed, said, tmp_path):
    ended = python("certify.py", "experiment=digits_tvd", typed, f"results.root={tmp_path}")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr
