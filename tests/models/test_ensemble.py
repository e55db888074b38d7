"""Ensembles: the mean of the networks, found by their files."""

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from experiments.config.identity import description
from models.classifiers import Ensemble, SmallCNN
from smoothing import SettingError
from smoothing.votes import Votes

MEMBER = {"_target_": "models.classifiers.SmallCNN", "width": 2}
GIVEN = (10, 1, [0.5], [0.5])


def whole(network):
    return {name: value.contiguous() for name, value in network.state_dict().items()}


@pytest.fixture
def networks(tmp_path):
    """Three networks, saved as train.py saves them: their folders, and the networks."""
    found = {}
    for k in range(3):
        torch.manual_seed(k)
        network = SmallCNN(*GIVEN, width=2).eval()
        (tmp_path / str(k)).mkdir()
        save_file(whole(network), tmp_path / str(k) / "weights.safetensors")
        found[str(tmp_path / str(k))] = network
    return found


def test_scores_are_the_mean_and_votes_the_shares(networks):
    x = torch.rand(200, 1, 8, 8)
    each = torch.stack([network(x) for network in networks.values()])
    soft = Ensemble(*GIVEN, MEMBER, list(networks)).eval()
    hard = Ensemble(*GIVEN, MEMBER, [f"{folder}/weights.safetensors" for folder in networks], votes="hard").eval()
    assert torch.allclose(soft(x), each.mean(dim=0), atol=1e-6)
    assert torch.allclose(hard(x), functional.one_hot(each.argmax(dim=2), 10).float().mean(dim=0))
    alone = Ensemble(*GIVEN, MEMBER, list(networks)[:1]).eval()
    assert torch.equal(alone(x), each[0])


@pytest.mark.parametrize("votes", ["soft", "hard"])
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_a_copy_at_which_one_network_fails_counts_for_no_class(networks, votes, broken):
    ensemble = Ensemble(*GIVEN, MEMBER, list(networks), votes=votes).eval()
    ensemble.members[1].register_forward_hook(lambda _, __, scores: scores.index_fill(0, torch.tensor([2]), broken))
    assert Votes()(ensemble(torch.rand(5, 1, 8, 8)))[-1] == 1


def test_what_is_wrong_is_said_in_one_line(networks, tmp_path):
    folders = list(networks)
    (tmp_path / "broken.safetensors").write_text("no weights")
    for given, message in (
        ((MEMBER, [*folders, "nowhere"]), r"model.weights: 'nowhere' is missing"),
        ((MEMBER, [str(tmp_path / "broken.safetensors")]), "not a file that train.py wrote"),
        ((MEMBER, []), "a list of at least one folder"),
        ((MEMBER, folders[0]), "a list of at least one folder"),
        ((MEMBER | {"width": 3}, folders), "does not fit SmallCNN: size mismatch"),
        (
            (MEMBER | {"_target_": "models.classifiers.Nothing"}, folders),
            "model.member._target_: expected a classifier",
        ),
        ((MEMBER | {"depth": 3}, folders), "model.member: .*depth"),
        ((MEMBER, folders, "loud"), "model.votes: expected soft or hard, got loud"),
    ):
        with pytest.raises(SettingError, match=message) as error:
            Ensemble(*GIVEN, *given)
        assert "\n" not in str(error.value)


def test_a_run_is_identified_by_the_weights(networks, settings):
    chosen = ("model=ensemble", "model.member._target_=models.classifiers.SmallCNN", "~model.member.normalise")
    group = settings("experiment=digits_gaussian", *chosen, f"model.weights=[{','.join(networks)}]").model
    before = description(group, code=False)
    first, second, _ = networks
    save_file(whole(networks[second]), f"{first}/weights.safetensors")
    after = description(group, code=False)
    assert before["files"]["weights.0"] != after["files"]["weights.0"] == before["files"]["weights.1"]
