"""A checkpoint is not used for other data than it was trained on, and examples that were trained on are named."""

import copy
import json
import shutil

import numpy as np
import pytest
import torch

from experiments.certifying.certification import certify
from experiments.data import Digits, Images, LabelledDataset, LabelledImages
from experiments.data.imagenet import ImageFiles
from experiments.machine import stopping
from experiments.training.base_function import build_base_function
from experiments.training.training_data import KEY, data_hash, warn_of_trained_examples
from smoothing import SettingError

OTHER = r"^dataset: the training data are not those that checkpoint '.*' was trained on; set another checkpoints\.root"
OWN = ("dataset=digits", f"dataset._target_={__name__}.Cells", "trainer.batch_size=20")


class Cells(LabelledDataset):
    """Digits of a file in a folder."""

    levels, shape, mean, std = Digits.levels, Digits.shape, Digits.mean, Digits.std

    def __init__(self, root: str) -> None:
        self.root, self.classes = root, Digits().classes

    def indices(self):
        return list(range(4))

    def _read(self, part):
        saved = torch.load(f"{self.root}/{part}.pt")
        return Images(saved["pixels"], saved["labels"])

    def training(self):
        return self._read("train")

    def testing(self):
        return self._read("test")


@pytest.fixture
def folder(tmp_path):
    """Writes a folder of cells: folder("a", inverted=True) -> dataset.root=..."""

    def write(name, inverted=False):
        (tmp_path / name).mkdir(exist_ok=True)
        for part, images in (("train", Digits().training()), ("test", Digits().testing())):
            pixels = images.pixels[:60]
            saved = {"pixels": Digits.levels - pixels if inverted else pixels, "labels": images.labels[:60]}
            torch.save(saved, tmp_path / name / f"{part}.pt")
        return f"+dataset.root={tmp_path / name}"

    return write


def test_a_finished_checkpoint_is_of_its_data(trained, folder, capsys):
    path = trained(*OWN, folder("cells"))
    assert KEY in json.loads((path / "checkpoint.json").read_text())
    assert trained(*OWN, folder("moved")) == path
    assert "is trained already" in capsys.readouterr().err
    with pytest.raises(SettingError, match=OTHER):
        trained(*OWN, folder("cells2", inverted=True))
    with pytest.raises(SettingError, match=OTHER):
        trained(*OWN, folder("cells", inverted=True))  # edited in place
    assert "is trained already" not in capsys.readouterr().err


def test_an_earlier_checkpoint_is_accepted(trained, folder, capsys):
    path = trained(*OWN, folder("cells"))
    metadata = json.loads((path / "checkpoint.json").read_text())
    (path / "checkpoint.json").write_text(json.dumps({k: v for k, v in metadata.items() if k != KEY}))
    assert trained(*OWN, folder("cells2", inverted=True)) == path
    assert "is trained already" in capsys.readouterr().err


def test_training_does_not_resume_on_other_data(trained, folder, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(stopping, "asked", lambda: True)
        with pytest.raises(SystemExit):
            trained(*OWN, folder("cells"))
    with pytest.raises(SettingError, match=OTHER):
        trained(*OWN, folder("cells2", inverted=True))
    assert trained(*OWN, folder("moved")).name.startswith(f"{__name__}.Cells")


def test_certification_compares_the_training_data(trained, composed, folder, tmp_path, capsys):
    root = f"checkpoints.root={tmp_path / 'checkpoints'}"
    quick = ("trainer.epochs=3", "trainer.lr_step=2", "device=cpu", root, *OWN)
    trained(*OWN, folder("cells"))

    def load(*words):
        settings = composed(*quick, *words)
        return build_base_function(settings, settings.dataset.build())

    load(folder("moved"))
    other = folder("cells2", inverted=True)
    with pytest.raises(SettingError, match=OTHER + ".*allow_mismatch=true$"):
        load(other)
    load(other, "allow_mismatch=true")
    with pytest.raises(SettingError, match=OTHER):
        certify(composed(*quick, other, f"results.root={tmp_path / 'results'}"))
    assert not capsys.readouterr().err.count("cannot be read")
    (tmp_path / "cells2" / "train.pt").unlink()
    load(other)
    assert "not compared with the training data, which cannot be read" in capsys.readouterr().err


class Streamed(LabelledImages):
    def __init__(self, pixels, labels):
        self.pixels, self.labels = pixels, labels

    def batches(self, chunks, device, key, workers):
        for chunk in chunks:
            yield self.pixels[chunk], self.labels[chunk]


def test_the_hash_is_that_of_the_numbers(tmp_path):
    data = Digits()
    images = data.training()
    found = data_hash(data, images)
    assert found == data_hash(data, Images(images.pixels.mT.contiguous().mT, images.labels)) != ""
    changed = images.pixels.clone()
    changed[7, 0, 0, 0] += 1
    others = [Images(changed, images.labels), Images(images.pixels, images.labels.flip(0))]
    assert found not in [data_hash(data, each) for each in [*others, Images(images.pixels[1:], images.labels[1:])]]
    streamed = [Streamed(pixels, images.labels) for pixels in (images.pixels, data.levels - images.pixels)]
    assert len({data_hash(data, each) for each in [*streamed, streamed[0]]}) == 2


def test_files_are_hashed_by_their_bytes(tmp_path):
    def made(name, content):
        (tmp_path / name).mkdir()
        paths = [tmp_path / name / str(k) for k in range(3)]
        for k, path in enumerate(paths):
            path.write_bytes(content + bytes([k]))
        return data_hash(Digits(), ImageFiles(paths, [0, 1, 2]))

    assert made("a", b"x") == made("b", b"x") != made("c", b"y")


def test_a_data_set_with_a_fingerprint_of_its_own_needs_no_hash(monkeypatch):
    monkeypatch.setattr(Digits, "fingerprint", lambda self: "known")
    data = Digits()
    assert data_hash(data, data.training()) == ""


def test_examples_that_are_trained_on_are_counted(trained, folder, tmp_path, capsys):
    data = Digits()
    warn_of_trained_examples(data, data.training())
    assert capsys.readouterr().err == ""
    assert "_test" not in vars(data)
    cells = folder("cells")
    shutil.copy(tmp_path / "cells" / "train.pt", tmp_path / "cells" / "test.pt")
    trained(*OWN, cells)
    warned = "warning: dataset: 4 of 4 examples to certify are also training inputs; leave them out of training()"
    assert capsys.readouterr().err.count(warned) == 1


def test_examples_are_not_searched_if_there_are_too_many_or_none_can_be_read(monkeypatch, capsys):
    data = Digits()
    same = copy.copy(data)
    monkeypatch.setattr(type(same), "training", Digits.testing)
    warn_of_trained_examples(same, same.training())
    assert capsys.readouterr().err.startswith("warning: dataset: ")
    monkeypatch.setattr("experiments.training.training_data.LARGEST", np.int64(10))
    warn_of_trained_examples(same, same.training())
    assert capsys.readouterr().err == ""
