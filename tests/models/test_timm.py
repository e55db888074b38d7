"""Networks of timm by name: their own normalisation, size and outputs. Each mistake is one line."""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from by_name import NAMES, by_transformers, pixels, scores
from PIL import Image
from safetensors.torch import save_file

from experiments.certifying.certification import certify
from experiments.training.base_function import new_model
from models.classifiers import Timm, Transformers
from models.classifiers.named import NamedNetwork, chosen_outputs
from smoothing import SettingError
from smoothing.base_function import FrozenFunction

NETWORK = "test_resnet.r160_in1k"  # timm's smallest; 160 x 160 pixels
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)  # of the data set, which the networks' own replace


def by_timm(name=NETWORK, classes=NAMES, **given):
    return Timm(len(classes), 3, MEAN, STD, classes, name, **{"weights": "random"} | given).eval()


def test_timm_normalises_as_the_package_does(timm):
    model, images = by_timm(), pixels(160, 160)
    config = timm.data.resolve_model_data_config(model.network) | {"crop_pct": 1.0}
    evaluation = timm.data.create_transform(**config, is_training=False)
    prepared = torch.stack([evaluation(Image.fromarray(each.permute(1, 2, 0).numpy())) for each in images])
    assert torch.allclose(scores(model, images / 255), scores(model.network, prepared), atol=1e-5)


def test_timm_resizes_images_of_another_size_in_the_network(timm):
    model, images = by_timm(), pixels(64, 48)
    config = timm.data.resolve_model_data_config(model.network)
    by_hand = torch.nn.functional.interpolate(images / 255, (160, 160), mode=config["interpolation"], antialias=True)
    assert torch.equal(scores(model, images / 255), scores(model, by_hand))
    small = by_timm(size=32)
    assert torch.equal(
        scores(small, images[:, :, :32, :32] / 255),
        scores(model.network, small.normalise(images[:, :, :32, :32] / 255)),
    )


def test_timm_with_the_normalisation_of_the_data_set(timm):
    model = by_timm(normalisation="dataset")
    assert model.normalise.mean.flatten().tolist() == pytest.approx(MEAN)
    assert model.normalise.std.flatten().tolist() == pytest.approx(STD)
    assert by_timm().normalise.mean.flatten().tolist() == [0.5, 0.5, 0.5]


def test_a_transformer_of_another_size(timm):
    model = by_timm("test_vit", size=32)
    assert scores(model, torch.rand(2, 3, 32, 32)).shape == (2, 3)


def test_random_weights_are_the_same_each_time_and_fresh_ones_are_not(timm):
    first, second = by_timm(), by_timm()
    torch.manual_seed(1)
    fresh, before = by_timm(weights=None), torch.random.get_rng_state()
    by_timm()
    assert torch.equal(torch.random.get_rng_state(), before)
    states = [model.state_dict() for model in (first, second, fresh)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


@pytest.mark.parametrize("suffix", ["pt", "safetensors", "wrapped.pt"])
def test_timm_weights_from_a_file(timm, tmp_path, suffix):
    network, file = by_timm(weights=None).network, tmp_path / f"mine.{suffix}"
    state = network.state_dict()
    if suffix == "safetensors":
        save_file(state, file)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}} if "wrapped" in suffix else state, file)
    model, images = by_timm(weights=str(file)), torch.rand(2, 3, 160, 160)
    assert torch.equal(scores(model.network, images), scores(network.eval(), images))
    again = by_timm(weights=None)
    again.load_state_dict(model.state_dict())
    assert torch.equal(scores(again, images), scores(model, images))


def test_a_folder_that_timm_saved(timm, tmp_path):
    network = timm.create_model(NETWORK, num_classes=3)
    timm.models.save_for_hf(network, tmp_path, model_config={"num_classes": 3, "label_names": ["cat", "ant", "bee"]})
    model, images = by_timm(f"local-dir:{tmp_path}", weights="hub"), torch.rand(2, 3, 160, 160)
    assert torch.equal(scores(model, images), scores(network.eval(), model.normalise(images))[:, [1, 2, 0]])


def test_outputs_of_imagenet_are_found_by_wordnet_number(timm, tmp_path):
    network = timm.create_model(NETWORK)
    torch.save(network.state_dict(), tmp_path / "thousand.pt")
    weights = str(tmp_path / "thousand.pt")
    names = timm.data.ImageNetInfo("imagenet-1k").label_names()
    images = torch.rand(2, 3, 160, 160)
    every = by_timm(weights=weights, classes=names)
    assert every.outputs is None
    several = by_timm(weights=weights, classes=[names[k] for k in (7, 300, 2)])
    assert torch.equal(scores(several, images), scores(every, images)[:, [7, 300, 2]])
    chosen = by_timm(weights=weights, outputs=[5, 6, 7])
    assert torch.equal(scores(chosen, images), scores(every, images)[:, 5:8])
    with pytest.raises(SettingError, match=r"has 1000 outputs, and the data set has 3 classes.*'n01440764'.*outputs="):
        by_timm(weights=weights)
    with pytest.raises(SettingError, match=r"model\.outputs: expected 3 different numbers from 0 to 999.*got \[1, 1"):
        by_timm(weights=weights, outputs=[1, 1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "resnt50"}, r"model\.name: timm has no network resnt50; did you mean resnet50\?"),
        ({"name": "resnet50.a1_in1"}, r"no weights a1_in1 for resnet50; did you mean resnet50\.a1_in1k\?"),
        ({"name": "zzzzzz"}, r"no network zzzzzz; python -c .* lists all"),
        ({"name": "timm/resnet50"}, r"for one on the hub type model\.name=hf-hub:timm/resnet50"),
        ({"name": "local-dir:nowhere", "weights": "hub"}, r"model\.name: 'local-dir:nowhere' holds no network"),
        ({"name": "nowhere:x"}, r"timm cannot make nowhere:x"),
        ({"weights": "nowhere.pt"}, r"model\.weights: no file 'nowhere\.pt'; expected hub, random, null or a file"),
        ({"size": 0}, r"model\.size: expected at least 1"),
        ({"outputs": [0, 1, 2]}, r"model\.outputs: a network with new weights"),
    ],
)
def test_mistakes_with_timm_are_one_line(timm, given, message):
    with pytest.raises(SettingError, match=message) as error:
        by_timm(**given)
    assert "\n" not in str(error.value)


def test_files_that_do_not_fit_are_one_line(timm, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save(torch.nn.Linear(2, 3).state_dict(), file)
    with pytest.raises(SettingError, match=r"does not fit test_resnet.*Missing key") as error:
        by_timm(weights=str(file))
    assert "\n" not in str(error.value)
    with pytest.raises(SettingError, match=r"did you mean '.*weights.pt'"):
        by_timm(weights=str(tmp_path / "weigths.pt"))
    for content in (b"", b"hello", b"\x80\x02garbage"):
        file.write_bytes(content)
        with pytest.raises(SettingError, match="not a file of tensors") as error:
            by_timm(weights=str(file))
        assert "\n" not in str(error.value)
    torch.save({"state_dict": Path("x")}, file)  # would execute code
    with pytest.raises(SettingError, match="without executing code"):
        by_timm(weights=str(file))


@pytest.mark.parametrize("name", [NETWORK, "hf-hub:timm/resnet18.a1_in1k"])
def test_without_a_network_timm_says_what_to_type(timm, offline, name):
    started = time.perf_counter()
    with pytest.raises(SettingError, match=r"those of .* cannot be fetched here \(the hub does not") as error:
        by_timm(name, weights="hub")
    assert f"create_model('{name}', pretrained=True)" in str(error.value)
    assert "model.weights=weights.pt" in str(error.value)
    assert "\n" not in str(error.value)
    assert time.perf_counter() - started < 10  # it does not retry


def test_gray_images_are_refused(timm, transformers, saved):
    with pytest.raises(SettingError, match="Timm takes colour images"):
        Timm(3, 1, (0.5,), (0.5,), NAMES, NETWORK)
    with pytest.raises(SettingError, match="Transformers takes colour images"):
        Transformers(3, 1, NAMES, "x/y")


def test_rows_do_not_depend_on_their_batch(timm, saved):
    """And the suite's fast copy of such a network is the same function."""
    for model, side in ((by_timm("test_vit", size=32), 32), (by_transformers(saved()), 16)):
        frozen, images = FrozenFunction(model), torch.rand(5, 3, side, side)
        assert not frozen.not_copied
        alone = torch.cat([scores(model, each[None]) for each in images])
        assert torch.allclose(frozen(images), alone, rtol=1e-4, atol=1e-5)


def test_outputs_by_name_are_not_ambiguous():
    assert chosen_outputs(None, ["crane", "ox"], ["crane", "crane, bird", "ox"], 2, "net") is None
    with pytest.raises(SettingError, match="has 3 outputs"):
        chosen_outputs(None, ["crane", "ox"], ["crane", "crane, bird", "ox"], 3, "net")
    assert issubclass(Timm, NamedNetwork)


@pytest.mark.parametrize("name", ["timm", "transformers"])
def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match=f"needs the package {name}; type: pip install {name}"):
        by_timm() if name == "timm" else by_transformers("x/y")


@pytest.fixture
def folder(tmp_path):
    """Images of 16 x 16 of three classes, to certify only."""
    random = np.random.default_rng(0)
    for name in NAMES:
        place = tmp_path / "images" / "test" / name
        place.mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(place / "0.png")
    return tmp_path / "images"


@pytest.fixture
def chosen(settings, folder, tmp_path):
    """chosen("model=timm", ...) is the settings of the experiment on these images."""

    def choose(*more):
        small = ("certifier.n=200", "certifier.n0=10", "device=cpu", "batch_size=64", "noise.sigma=0.1")
        places = (f"dataset.root={folder}", "dataset.size=16", f"results.root={tmp_path / 'results'}")
        return settings("experiment=named_classifier", *small, *places, *more)

    return choose


RANDOM = (f"model.name={NETWORK}", "model.weights=random", "model.size=16")


@pytest.mark.parametrize("model", ["timm", "transformers"])
def test_a_folder_of_images_is_certified(request, chosen, model):
    pytest.importorskip(model)
    own = RANDOM if model == "timm" else (f"model.name={request.getfixturevalue('saved')()}",)
    table = certify(chosen(f"model={model}", *own))
    rows = pd.read_csv(table)
    assert len(rows) == 3
    assert "certified" in set(rows["status"])
    record = json.loads((table.parent / "run.json").read_text())
    assert record["identity"]["model"]["type"] == type(new_model_of(chosen(f"model={model}", *own))).__name__
    assert len(record["weights"]) == 16


def new_model_of(settings):
    return new_model(settings, settings.dataset.build())


def test_the_data_set_gives_the_names_of_its_classes(saved, chosen):
    network = saved(id2label={0: "dog", 1: "cat", 2: "bee", 3: "ant"})
    model = new_model_of(chosen("model=transformers", f"model.name={network}"))
    assert model.outputs.tolist() == [3, 2, 1]


def test_new_weights_need_a_trainer_or_a_checkpoint(timm, chosen):
    with pytest.raises(SettingError, match=r"model: Timm needs weights\. Set the trainer"):
        certify(chosen(f"model.name={NETWORK}", "model.weights=null", "model.size=16"))


def test_weights_of_a_checkpoint(timm, chosen, tmp_path):
    model = new_model_of(chosen(*RANDOM))
    torch.save(model.state_dict(), tmp_path / "trained.pt")
    fresh = ("model.weights=null", f"checkpoint={tmp_path / 'trained.pt'}")
    assert len(pd.read_csv(certify(chosen(f"model.name={NETWORK}", "model.size=16", *fresh)))) == 3
