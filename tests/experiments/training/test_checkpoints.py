"""Checkpoints: found by their training settings, and refused with one clear line if these do not match."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from experiments.certifying.certification import certify
from experiments.config.check import checked_group
from experiments.config.identity import description, identity, identity_hash
from experiments.config.settings import Group
from experiments.data import Digits
from experiments.training import checkpoints, loop, weights
from experiments.training.base_function import build_base_function, new_model
from experiments.training.weights import find
from smoothing import SettingError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def composed(composed, tmp_path):
    """Checked settings of a train command, with a root of checkpoints of the test's own."""
    return lambda *overrides: composed(f"checkpoints.root={tmp_path}", *overrides)


@pytest.fixture
def saved(composed):
    """A checkpoint of an untrained network, as if trained with the given settings: saved() -> its folder."""

    def save(*overrides):
        plain = composed(*overrides)
        dataset = plain.dataset.build()
        folder = checkpoints.folder(plain, dataset)
        folder.mkdir(parents=True)
        metadata = {"trained_as": checkpoints.trained_as(plain, dataset), "num_classes": 10}
        checkpoints.save(folder, new_model(plain, dataset), metadata)
        return folder

    return save


def model_of(plain):
    return build_base_function(plain, plain.dataset.build()).model


def test_it_is_found_by_what_it_was_trained_as(composed, saved):
    folder = saved("noise.sigma=0.5")
    assert folder.name.startswith("Digits-SmallCNN-sigma0.5-")
    for same in ("limit=3", "device=cpu", "trainer.devices=4", "trainer.precision=auto", "certifier.n=9000"):
        assert find(composed("noise.sigma=0.5", same), Digits()).path == folder
    others = ("noise.sigma=0.25", "seed=1", "trainer.epochs=3", "model.width=8", "trainer.noisy=false")
    for other in (*others, "trainer.precision=bf16-mixed"):
        with pytest.raises(SettingError, match="no checkpoint"):
            find(composed("noise.sigma=0.5", other), Digits())
    assert find(composed("noise.sigma=0.5", "seed=1", "trainer.seed=0"), Digits()).path == folder


def test_which_images_are_certified_is_not_what_is_trained(composed):
    names = set()
    for step in (20, 40):
        plain = composed(f"+dataset.step={step}", "dataset._target_=experiments.data.MNIST")
        names.add(checkpoints.folder(plain, Digits()).name)
    assert len(names) == 1


def test_the_weights_are_those_that_were_saved(composed, saved):
    folder = saved()
    one, two = model_of(composed()), model_of(composed())
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(one.eval()(x), two.eval()(x))
    stored = load_file(folder / "weights.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in one.state_dict().items())


def test_a_missing_one_names_the_command_that_makes_it(composed, tmp_path):
    with pytest.raises(SettingError) as error:
        model_of(composed("noise.sigma=0.5"))
    assert "python train.py experiment=digits_gaussian noise.sigma=0.5" in str(error.value)
    assert str(tmp_path) in str(error.value)
    with pytest.raises(
        SettingError, match=r"no file or folder '/nowhere'; leave checkpoint= out to use that of train\.py$"
    ):
        model_of(composed("checkpoint=/nowhere"))


def test_an_unfinished_one_is_none(composed, saved):
    (saved() / "checkpoint.json").unlink()
    with pytest.raises(SettingError, match="no finished checkpoint"):
        model_of(composed())


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("noise.sigma=0.25", ["noise:", "Gaussian(sigma=0.25)", "Gaussian(sigma=0.5)", "allow_mismatch=true"]),
        ("trainer.noisy=false", ["noise:", "none", "Gaussian(sigma=0.5)", "allow_mismatch=true"]),
        ("model.width=8", ["model:", "SmallCNN(width=8)", "SmallCNN(width=16)"]),
        ("model=resnet20_he", ["model:", "ResNetCIFAR(depth=20)", "SmallCNN(width=16)"]),
    ],
)
def test_a_mismatch_names_both_values(composed, saved, asked, says):
    folder = saved("noise.sigma=0.5")
    overrides = [asked, f"checkpoint={folder}"]
    plain = composed("noise.sigma=0.5", *overrides) if "sigma" not in asked else composed(*overrides)
    with pytest.raises(SettingError) as error:
        model_of(plain)
    message = str(error.value)
    assert "\n" not in message
    for word in (*says, "python train.py"):
        assert word in message
    assert ("allow_mismatch" in message) == ("allow_mismatch=true" in says)


def test_the_file_of_weights_in_a_checkpoint_stands_for_its_folder(composed, saved, tmp_path):
    folder = saved("noise.sigma=0.25")
    file = folder / "weights.safetensors"
    with pytest.raises(SettingError, match=r"^noise: expected .*Gaussian\(sigma=0\.5\).*allow_mismatch=true"):
        model_of(composed("noise.sigma=0.5", f"checkpoint={file}"))
    asked = [composed("noise.sigma=0.25", f"checkpoint={path}") for path in (folder, file)]
    assert find(asked[0], Digits()) == find(asked[1], Digits())
    (tmp_path / "moved").mkdir()
    bare = shutil.copy(file, tmp_path / "moved")
    assert find(composed("noise.sigma=0.5", f"checkpoint={bare}"), Digits()).metadata is None


def test_other_data_or_normalisation_is_a_mismatch(composed, saved):
    folder = saved()
    metadata = json.loads((folder / "checkpoint.json").read_text())
    for group, key, value in (("dataset", "type", "MNIST"), ("normalisation", "mean", [0.5])):
        changed = json.loads(json.dumps(metadata))
        changed["trained_as"][group][key] = value
        (folder / "checkpoint.json").write_text(json.dumps(changed))
        with pytest.raises(SettingError, match=f"^{group}: "):
            model_of(composed())
        model_of(composed("allow_mismatch=true"))


def test_a_mismatch_may_be_allowed_but_for_another_network(composed, saved):
    folder = saved("noise.sigma=0.5")
    plain = composed("noise.sigma=0.25", f"checkpoint={folder}", "allow_mismatch=true")
    model_of(plain)
    assert find(plain, Digits()).training["noise"] == {"type": "Gaussian", "sigma": 0.5}
    with pytest.raises(SettingError, match=r"SmallCNN\(width=16\).*do not fit ResNetCIFAR.*python train\.py"):
        model_of(composed("model=resnet20_he", f"checkpoint={folder}", "allow_mismatch=true"))


def test_damage_is_one_clear_line(composed, saved):
    folder = saved()
    whole = (folder / "weights.safetensors").read_bytes()
    for damaged in (whole[:-100], whole[:10], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        (folder / "weights.safetensors").write_bytes(damaged)
        with pytest.raises(SettingError, match=r"weights\.safetensors: damaged.*python train\.py"):
            model_of(composed())
    (folder / "weights.safetensors").write_bytes(whole)
    for damaged in ("{", "[]", "{}"):
        (folder / "checkpoint.json").write_text(damaged)
        with pytest.raises(SettingError, match=r"checkpoint\.json: not the metadata of a checkpoint"):
            model_of(composed())


def test_training_is_part_of_a_runs_identity(composed, saved):
    saved()
    plain = composed()
    training = find(plain, Digits()).training
    assert training["noise"] == {"type": "Gaussian", "sigma": 0.25}
    assert training["epochs"] == plain.trainer.get("epochs")
    assert len(training["weights"]) == 16
    assert "devices" not in training
    with_training = identity(plain, "", training)
    assert with_training["training"] == training
    assert "metric" not in with_training
    assert identity_hash(with_training) != identity_hash(identity(plain, ""))


def test_precision_is_part_of_what_a_checkpoint_is(composed, saved):
    """float32 is left out, so that earlier checkpoints keep their names; earlier bfloat16 checkpoints name theirs."""
    plain = composed()
    assert "precision" not in checkpoints.trained_as(plain, Digits())["trainer"]
    assert plain.trainer.get("precision") == "32-true"
    other = checkpoints.trained_as(composed("trainer.precision=bf16-mixed"), Digits())
    assert other["trainer"]["precision"] == "bf16-mixed"
    folder = saved()
    metadata = json.loads((folder / "checkpoint.json").read_text())
    before = find(plain, Digits()).training
    (folder / "checkpoint.json").write_text(json.dumps(metadata | {"trainer": {"precision": "32-true"}}))
    assert find(plain, Digits()).training == before
    (folder / "checkpoint.json").write_text(json.dumps(metadata | {"trainer": {"precision": "bf16-mixed"}}))
    assert find(plain, Digits()).training == before | {"precision": "bf16-mixed"}


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*/*/run.json")), ids=lambda path: path.parent.name)
def test_committed_trainings_keep_their_names(path):
    """The present description of a committed run's trainer equals that in its identity."""
    record = json.loads(path.read_text())
    trainer, kept = record["config"].get("trainer"), record["identity"].get("training")
    if not trainer or not kept:
        pytest.skip("brings its own weights")
    described = description(checked_group("trainer", trainer))
    assert described == {key: value for key, value in kept.items() if key not in ("noise", "weights")}
    assert description(Group.from_dict(record["config"]["model"])) == record["identity"]["model"]


def test_identities_of_runs_without_a_checkpoint_stay_what_they_were(settings):
    """Stored results have these names and must be found again."""
    for overrides, name in (
        (("experiment=faces_jaccard", "noise.sigma=0.1"), "af6046039d"),
        (("experiment=faces_jaccard", "noise.sigma=0.25"), "ca3371a23d"),
        (("experiment=celeba_jaccard", "certifier.center=best"), "c1dd79e05e"),
    ):
        assert identity_hash(identity(settings(*overrides), "")) == name


def test_a_run_finds_its_checkpoint_and_its_data_once(composed, settings, trained, tmp_path, monkeypatch):
    """Also under a noise of which the checkpoint keeps a part."""
    quick = ("experiment=digits_dssn", "trainer.epochs=3", "trainer.lr_step=2", "device=cpu")
    root = trained(*quick).parent
    calls = []
    monkeypatch.setattr(weights, "read", lambda path: calls.append("metadata") or checkpoints.read(path))
    monkeypatch.setattr(Digits, "fingerprint", lambda self: calls.append("fingerprint") or "")
    certify(settings(*quick, f"checkpoints.root={root}", f"results.root={tmp_path / 'results'}", "limit=1"))
    assert sorted(calls) == ["fingerprint", "metadata"]


def test_a_network_of_the_suite_is_used_unless_there_is_one_of_ones_own(composed, saved, tmp_path, monkeypatch):
    plain, own = composed("experiment=digits_gaussian"), saved("experiment=digits_gaussian")
    monkeypatch.setattr(weights, "TRAINED", tmp_path / "suite")
    (tmp_path / "suite").mkdir()
    assert find(plain, plain.dataset.build()).path == own
    suite = own.rename(tmp_path / "suite" / own.name)
    assert find(plain, plain.dataset.build()).path == suite
    own.mkdir()  # training has begun
    with pytest.raises(SettingError, match="no finished checkpoint in"):
        find(plain, plain.dataset.build())


NETWORK = """
from torch import nn

class Network(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))

    def forward(self, x):
        return self.layers(x)
"""


def test_an_edited_network_is_named_where_its_weights_are_read(trained, composed, tmp_path, monkeypatch, capsys):
    file = tmp_path / "of_mine.py"
    file.write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("~model.width", "model._target_=of_mine.Network", "trainer.epochs=1")
    folder = trained(*words)
    metadata = json.loads((folder / "checkpoint.json").read_text())
    assert len(metadata["code"]) == 16
    assert "code" not in metadata["trained_as"]["model"]
    plain = composed("trainer.epochs=1", "trainer.lr_step=2", *words, f"checkpoints.root={folder.parent}")
    capsys.readouterr()
    model_of(plain)
    assert capsys.readouterr().err == ""
    assert trained(*words) == folder
    assert capsys.readouterr().err == f"checkpoint '{folder}' is trained already; delete the folder to train again\n"
    file.write_text(NETWORK.replace("self.layers(x)", "-self.layers(x)"))
    told = f"checkpoint '{folder}': the source of Network has changed since it was trained; delete the folder to train"
    model_of(plain)
    assert capsys.readouterr().err == f"{told} again\n"
    trained(*words)
    assert capsys.readouterr().err == f"{told} again\n"
    (folder / "checkpoint.json").write_text(json.dumps({k: v for k, v in metadata.items() if k != "code"}))
    model_of(plain)
    assert capsys.readouterr().err == "", "an earlier checkpoint holds no hash of it"


def test_a_network_that_was_edited_in_the_middle_of_its_training_is_named(trained, tmp_path, monkeypatch, capsys):
    file = tmp_path / "half_trained.py"
    file.write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("~model.width", "model._target_=half_trained.Network", "trainer.epochs=2")
    epoch_of = loop._epoch

    def stopped(*each):
        if each[-1] == 1:
            raise KeyboardInterrupt
        return epoch_of(*each)

    monkeypatch.setattr(loop, "_epoch", stopped)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(*words)
        assert "has changed" not in capsys.readouterr().err
    monkeypatch.setattr(loop, "_epoch", epoch_of)
    file.write_text(NETWORK.replace("self.layers(x)", "-self.layers(x)"))
    folder = trained(*words)
    told = f"checkpoint '{folder}': the source of the model has changed since epoch 1; delete the folder to "
    assert f"{told}train from the beginning\n" in capsys.readouterr().err


def test_data_that_have_changed_since_training_are_named(composed, saved, monkeypatch):
    folder = saved()
    monkeypatch.setattr(Digits, "fingerprint", lambda self: "other digits")
    told = rf"no checkpoint '[^']*'; the data have changed since '{folder}' was trained\. Train it: python train\.py"
    with pytest.raises(SettingError, match=told):
        model_of(composed())
    with pytest.raises(SettingError, match=r"no checkpoint '[^']*'\. Train it: "):
        model_of(composed("noise.sigma=1.0"))
