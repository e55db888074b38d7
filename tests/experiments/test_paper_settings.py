"""What the experiments call the paper's settings, and options that came later than committed results."""

import pytest
import yaml

from experiments.composition import description
from experiments.figures import CONF

FILES = sorted((CONF / "experiment").glob("*.yaml"))


def test_the_papers_center_goes_with_the_papers_bound():
    certifiers = {file.stem: yaml.safe_load(file.read_text()).get("certifier", {}) for file in FILES}
    papers = {name for name, settings in certifiers.items() if settings.get("bound") == "paper"}
    assert {"celeba_jaccard", "mnist_tvd", "cifar10_reconstruction_angular", "imagenet_lpips"} <= papers
    assert papers == {name for name, settings in certifiers.items() if settings.get("center") == "medoid"}


@pytest.mark.parametrize(("center", "said"), [("best", {}), ("medoid", {"center": "medoid"})])
def test_the_center_of_committed_runs_leaves_their_hash_as_it_was(center, said):
    node = {"_target_": "smoothing.CenterSmoothing", "n": 10, "center": center}
    assert description(node) == {"type": "CenterSmoothing", "n": 10} | said
