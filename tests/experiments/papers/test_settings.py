"""The paper's settings in the experiments, and options that are newer than the committed results."""

import pytest

from experiments.config.experiment import experiment
from experiments.config.identity import description
from experiments.config.settings import Group
from experiments.papers.settings import page, rows
from experiments.report.figure import CONF

FILES = sorted((CONF / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def settings_of_papers():
    return list(rows())


def test_every_setting_is_the_papers_or_says_why_not(settings_of_papers):
    differing = [r for r in settings_of_papers if (r["papers"] != r["ours"]) != bool(r["difference"])]
    assert differing == []
    assert len(settings_of_papers) > 200


def test_every_experiment_with_the_papers_settings_is_compared(settings_of_papers):
    claimed = {file.stem for file in FILES if "with the paper's settings" in experiment(file.stem).shows}
    assert len(claimed) > 20
    assert claimed <= {r["experiment"] for r in settings_of_papers}


def test_the_page_of_settings_is_up_to_date():
    assert (CONF.parent / "docs" / "settings.md").read_text() == page()


def test_the_papers_center_goes_with_the_papers_bound():
    certifiers = {file.stem: experiment(file.stem).config.certifier for file in FILES}
    papers = {name for name, settings in certifiers.items() if settings.get("bound") == "paper"}
    assert {"celeba_jaccard", "mnist_tvd", "cifar10_reconstruction_angular", "imagenet_lpips"} <= papers
    assert papers == {name for name, settings in certifiers.items() if settings.get("center") == "medoid"}


@pytest.mark.parametrize(("center", "said"), [("best", {}), ("medoid", {"center": "medoid"})])
def test_the_center_of_committed_runs_leaves_their_hash_as_it_was(center, said):
    group = Group("smoothing.CenterSmoothing", {"n": 10, "center": center})
    assert description(group) == {"type": "CenterSmoothing", "n": 10} | said
