"""What users' own classes and values may get wrong, outside the library: one line instead of a wrong row or figure."""

import csv
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.certifying.certification import certify, choose_examples
from experiments.certifying.rows import row
from experiments.config.settings import Group
from experiments.data import Digits, ImageFolder, Images, LabelledDataset, MissingDataError
from experiments.training import checkpoints, loop
from experiments.training.base_function import example_of, new_model, tensor_of, warn_of_pixels
from experiments.training.training_data import training_images
from experiments.training.weights import needs_checkpoint
from smoothing import BaseFunctionError, Gaussian, SettingError


def test_weights_that_a_class_with_its_own_would_not_load(composed):
    settings = composed("experiment=faces_jaccard")
    assert not needs_checkpoint(settings)
    with pytest.raises(SettingError, match=r"^checkpoint: FaceDetector brings its own weights .* 'mine\.pt'"):
        needs_checkpoint(replace(settings, checkpoint="mine.pt"))


def test_no_examples(composed):
    settings = composed("experiment=digits_gaussian", "indices=[]")
    with pytest.raises(SettingError, match=r"^indices: expected at least one example"):
        choose_examples(Digits(), settings)
    nothing = SimpleNamespace(indices=list)
    with pytest.raises(SettingError, match=r"^dataset: SimpleNamespace\.indices\(\): expected at least one example"):
        choose_examples(nothing, replace(settings, indices=None))


@dataclass
class Statement:
    prediction: int
    radius: object


@pytest.mark.parametrize(
    "value", [torch.tensor(0.25), torch.tensor([0.25]), np.float32(0.25), np.array([[0.25]]), np.float64(0.25), 0.25]
)
def test_one_number_is_written_as_a_number(value, tmp_path):
    schema = SimpleNamespace(columns=("index", "predict", "radius"))
    found = row(schema, Statement(torch.tensor(3), value), index=0, seconds=0.1)
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.DictWriter(file, schema.columns).writerow(found)
    assert (tmp_path / "a.csv").read_text().strip() == "0,3,0.25"


def test_several_numbers_are_no_value_of_a_column():
    schema = SimpleNamespace(columns=("index", "radius"))
    with pytest.raises(BaseFunctionError, match=r"one number for the column radius, got an array of shape \(2,\)"):
        row(schema, Statement(0, torch.zeros(2)), index=0, seconds=0.1)


class Own(LabelledDataset):
    classes, shape, mean, std = ["a", "b"], (1, 2, 2), (0.5,), (0.5,)

    def __init__(self, images):
        self.images = images

    def indices(self):
        return [0, 1]

    def training(self):
        return self.images

    testing = training


PIXELS, LABELS = torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1] * 4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (Images(PIXELS / 255.0, LABELS), r"expected whole pixels 0 to 255 \(uint8\).* got torch.float32; return \(255"),
        (Images(PIXELS, LABELS + 0.7), "expected labels as whole numbers, .* got torch.float32"),
        (Images(PIXELS, LABELS[:, None]), r"expected labels as whole numbers, .* of shape \(8, 1\)"),
        (Images(PIXELS, LABELS.tolist()), "expected labels as a tensor, got list"),
        (Images(PIXELS, LABELS[:5]), "8 images have 5 labels"),
        (Images(PIXELS.numpy(), LABELS), r"expected pixels as a tensor, got ndarray; use torch\.from_numpy"),
        (Images(PIXELS[:, 0], LABELS), r"expected pixels of shape \(n, 1, 2, 2\), .* got \(8, 2, 2\)"),
        (Images(PIXELS.permute(0, 2, 3, 1), LABELS), r"expected pixels of shape \(n, 1, 2, 2\), .* got \(8, 2, 2, 1\)"),
        (Images(PIXELS.int() + 300, LABELS), r"expected pixels 0 to 255, because levels is 255, got 300 to 300"),
        (Images(PIXELS.int() - 1, LABELS), r"expected pixels 0 to 255, because levels is 255, got -1 to -1"),
        (Images(PIXELS, LABELS + 1), r"expected labels 0 to 1, got 1 to 2; there are 2 classes"),
        (Images(PIXELS, LABELS - 1), r"expected labels 0 to 1, got -1 to 0; there are 2 classes"),
        ((PIXELS, LABELS), r"expected Images\(pixels, labels\), got tuple"),
    ],
)
def test_images_of_another_kind(images, message):
    dataset = Own(images)
    for read in (lambda: dataset[0], lambda: dataset.label(0)):
        with pytest.raises(SettingError, match=rf"dataset: Own\.testing\(\): {message}"):
            read()
    with pytest.raises(SettingError, match=rf"dataset: Own\.training\(\): {message}"):
        training_images(dataset, SimpleNamespace(batch_size=2))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,) * 3, (0.5,) * 3, r"expected one number each, one for each channel, std > 0, got \(0\.5, 0\.5, 0\.5\)"),
        ((0.5,), (0.0,), "expected one number each, one for each channel, std > 0, got"),
        ((0.5,), (float("nan"),), "expected one number each, .* std > 0, got"),
        ((0.5,), (), "expected one number each"),
        (
            (125.3,),
            (0.5,),
            r"expected mean and std in units of 0 to 1, .* levels=255, got \(125\.3,\), .*; divide by 255$",
        ),
        ((-0.1,), (0.5,), "expected mean and std in units of 0 to 1"),
        ((0.5,), (63.0,), "expected mean and std in units of 0 to 1"),
    ],
)
def test_a_normalisation_of_other_channels_is_refused(mean, std, message):
    dataset = Own(Images(PIXELS, LABELS))
    dataset.mean, dataset.std = mean, std
    with pytest.raises(SettingError, match=rf"^dataset: Own\.mean, std: {message}"):
        dataset[0]


def test_inputs_without_levels_are_no_bytes_and_have_any_mean():
    dataset = Own(Images(PIXELS.float(), LABELS))
    dataset.levels, dataset.mean, dataset.std = None, (125.3,), (63.0,)
    assert dataset[0].dtype == torch.float32
    dataset = Own(Images(PIXELS, LABELS))
    dataset.levels = None
    message = r"expected float32 numbers, because levels is None, got torch\.uint8; set levels = 255"
    with pytest.raises(SettingError, match=rf"^dataset: Own\.training\(\): {message}"):
        training_images(dataset, SimpleNamespace(batch_size=2))


def test_inputs_without_channels_need_no_normalisation(composed):
    dataset = Own(Images(torch.rand(8, 5), LABELS))
    dataset.mean, dataset.std, dataset.shape, dataset.levels = (), (), (5,), None
    assert dataset[1].shape == (5,)
    plain = composed("experiment=digits_gaussian")
    assert checkpoints.training_conditions(plain, dataset)["normalisation"] == {"mean": [], "std": []}
    with pytest.raises(SettingError, match=r"^dataset: Own\.mean is missing; set it to a number for each channel$"):
        new_model(plain, dataset)


@pytest.mark.parametrize(("name", "holds"), [("classes", "the names of the"), ("shape", "the shape of an input")])
def test_what_a_class_does_not_declare_is_named(composed, name, holds, monkeypatch):
    monkeypatch.delattr(Own, name)
    with pytest.raises(SettingError, match=rf"^dataset: Own\.{name} is missing; set it to {holds}"):
        new_model(composed("experiment=digits_gaussian"), Own(Images(PIXELS, LABELS)))


def test_training_on_pixels_that_nobody_divided_is_warned_of(capsys):
    pixels = torch.randint(0, 256, (8, 3, 4, 4)).float()
    for undivided in (pixels, pixels / 255):
        warn_of_pixels(None, Images(undivided, LABELS), None, Gaussian(sigma=0.25))
    warn_of_pixels(None, Images(pixels.byte(), LABELS), 255, Gaussian(sigma=0.25))
    said = capsys.readouterr().err
    assert said.startswith("warning: x: its numbers go up to 25")
    assert said.count("\n") == 1


def test_an_index_of_no_example_is_named():
    dataset = Own(Images(PIXELS[:1], LABELS[:1]))
    for read in (dataset.check, lambda indices: tensor_of(dataset, indices[-1])):
        with pytest.raises(SettingError, match=r"^dataset: Own\.indices\(\): 1 is the index of no example \(Own: .*"):
            read([0, 1])


@pytest.mark.parametrize("name", ["''", "../x", "a/b", ".", "..", "/tmp"])
def test_a_name_that_is_no_folder(composed, name):
    with pytest.raises(SettingError, match=r"^name: expected the name of a folder"):
        composed("experiment=digits_gaussian", f"name={name}")


@pytest.mark.parametrize(("typed", "whole"), [("1e5", "100000"), ("2000.0", "2000")])
def test_a_whole_number_typed_as_a_float(composed, typed, whole):
    with pytest.raises(SettingError, match=rf"^certifier\.n: expected a whole number, got .*; type {whole}$"):
        composed("experiment=digits_gaussian", f"certifier.n={typed}")


def test_a_list_that_others_are_computed_from(composed):
    with pytest.raises(SettingError, match=r"^noise\.sigma: expected a number, got \[0\.25\]; type one, and -m"):
        composed("experiment=digits_tvd", "noise.sigma=[0.25]")


def test_an_example_that_is_no_input_is_named():
    with pytest.raises(SettingError, match=r"^dataset: example 3: x: some of its numbers are NaN"):
        example_of({3: torch.tensor([float("nan")])}, 3, None, torch.device("cpu"))


@pytest.mark.parametrize(("group", "kind"), [("metric", "Metric"), ("noise", "Noise"), ("certifier", "Certifier")])
def test_a_class_of_another_kind_is_refused_before_weights_are_looked_for(composed, tmp_path, group, kind):
    plain = composed("experiment=digits_tvd", f"checkpoints.root={tmp_path}")
    plain = replace(plain, **{group: Group("torch.nn.ReLU")})
    with pytest.raises(SettingError, match=rf"^{group}: expected a class derived from smoothing\.{kind}, got ReLU$"):
        certify(plain)


@pytest.mark.parametrize("run", [certify, loop.train], ids=["certify", "train"])
def test_a_data_set_of_another_kind_is_refused(composed, tmp_path, run):
    plain = composed("experiment=digits_gaussian", f"checkpoints.root={tmp_path}", "device=cpu")
    plain = replace(plain, dataset=Group("torchvision.datasets.FakeData"))
    expected = r"^dataset: expected a class derived from experiments\.data\.Dataset, got FakeData; see docs/add_a"
    with pytest.raises(SettingError, match=expected):
        run(plain)


def test_a_file_that_an_example_lacks_is_named():
    class Absent(Digits):
        def __getitem__(self, index):
            return super().__getitem__(index) if index else open("nowhere.npy")

    told = r"example 0 cannot be read: FileNotFoundError: .*'nowhere\.npy' \(.*parts\.py:\d+, in __getitem__\)$"
    with pytest.raises(MissingDataError, match=rf"^dataset: 1 of 2 examples cannot be read: {told}"):
        Absent().check([0, 1])
    with pytest.raises(MissingDataError, match=rf"^dataset: {told}") as caught:
        tensor_of(Absent(), 0)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_folder_of_images_has_no_labels(composed, tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    where = ("dataset=folder", f"dataset.root={tmp_path}", "model=mtcnn", "certifier=certify", "device=cpu")
    plain = composed("experiment=demo", *where, "~certifier.m", "~certifier.delta")
    told = "Certify needs, and ImageFolder has none; use dataset=classes for images of your own in one folder for each"
    with pytest.raises(SettingError, match=f"{told} class$"):
        certify(plain)
    monkeypatch.setattr(ImageFolder, "label", lambda *_: 0, raising=False)
    derive = r", or derive your class from experiments\.data\.LabelledDataset"
    with pytest.raises(SettingError, match=f"{told} class{derive}$"):
        certify(plain)


def test_an_error_of_the_data_set_is_said_once():
    dataset = Own(Images(PIXELS / 255.0, LABELS))
    with pytest.raises(SettingError, match=r"^dataset: Own\.testing\(\): expected whole pixels"):
        example_of(dataset, 0, None, torch.device("cpu"))
