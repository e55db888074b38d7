"""Labelled data sets: the published numbers, fixed indices, and clear one-line errors."""

import csv
import gzip
import pickle
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10 as TorchvisionCIFAR10

from experiments.data import CIFAR10, MNIST, Classes, Digits, ImageNet, MissingDataError
from experiments.data.augmentation import Augmentation
from experiments.data.imagenet import random_window
from smoothing import SettingError

SHARED = Path(__file__).parents[3] / ".." / "shared" / "data"
CIFAR_MEAN, CIFAR_STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]


def pixel_statistics(images, levels):
    pixels = images.pixels.to(torch.float64) / levels
    return pixels.mean(dim=(0, 2, 3)), pixels.std(dim=(0, 2, 3))


def test_the_digits_are_those_that_scikit_learn_reads():
    read, data = load_digits(), Digits()
    order = np.random.default_rng(0).permutation(1797)
    pixels = torch.cat([data.training().pixels, data.testing().pixels])
    assert np.array_equal(pixels[:, 0].numpy(), read.images[order])
    labels = torch.cat([data.training().labels, data.testing().labels])
    assert np.array_equal(labels.numpy(), read.target[order])


def test_digits_are_split_once_and_for_all():
    data = Digits()
    training, testing = data.training(), data.testing()
    assert (len(training), len(testing)) == (1297, 500)
    assert training.pixels.shape[1:] == data.shape == (1, 8, 8)
    assert training.pixels.dtype == torch.uint8
    assert int(training.pixels.max()) == data.levels == 16
    assert data.indices() == list(range(500))
    rows = torch.cat([training.pixels, testing.pixels]).flatten(1)
    assert len(rows.unique(dim=0)) == 1797  # no image is in both parts
    assert torch.equal(data[3] * 16, testing.pixels[3].float())
    assert data.label(3) == int(testing.labels[3])
    assert testing.labels[:10].tolist() == Digits().testing().labels[:10].tolist()
    mean, std = pixel_statistics(training, 16)
    assert data.mean == pytest.approx(mean.tolist(), abs=1e-4)
    assert data.std == pytest.approx(std.tolist(), abs=1e-4)
    assert testing.labels.bincount(minlength=10).min() >= 30
    with pytest.raises(IndexError, match="0 to 499"):
        data[500]


@pytest.fixture
def mnist_root(tmp_path):
    raw = SHARED / "mnist" / "MNIST" / "raw"
    if not raw.is_dir():
        pytest.skip("no MNIST beside the checkout")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for file in raw.glob("*.gz"):
        (tmp_path / "MNIST" / "raw" / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return tmp_path


def test_mnist(mnist_root):
    data = MNIST(str(mnist_root))
    training = data.training()
    assert (len(training), len(data.testing())) == (60_000, 10_000)
    assert data.testing().labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert training.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert len(data.indices()) == 500
    mean, std = pixel_statistics(training, 255)
    assert data.mean == pytest.approx(mean.tolist(), abs=1e-4)
    assert data.std == pytest.approx(std.tolist(), abs=1e-4)
    assert data[20].shape == (1, 28, 28)
    assert data[20].max() == 1


def test_damaged_mnist_is_named(mnist_root):
    (mnist_root / "MNIST" / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(MissingDataError, match=r"dataset\.root"):
        MNIST(str(mnist_root))


@pytest.mark.parametrize(("kind", "folder"), [(MNIST, "MNIST"), (CIFAR10, "cifar-10-batches-py")])
def test_missing_data_says_where_to_put_it(tmp_path, kind, folder):
    with pytest.raises(MissingDataError) as error:
        kind(str(tmp_path))
    for word in ("dataset.root", f"{tmp_path}/{folder}", "dataset.download=true", "dataset=digits"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_cifar10_in_the_official_format(tmp_path, monkeypatch):
    """Files in the official format. They hold the real first training images if these are next to the checkout."""
    source = SHARED / "cifar10_lossless" / "train_first4000.npz"
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(600, 32, 32, 3), dtype=np.uint8), rng.integers(10, size=600)
    if source.exists():
        with np.load(source) as stored:
            images, labels = stored[next(key for key in stored if key != "labels")], stored["labels"]
        assert labels[:5].tolist() == [6, 9, 9, 4, 1]
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    for number, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        part = slice(number * 100, (number + 1) * 100)
        batch = {"data": images[part].transpose(0, 3, 1, 2).reshape(-1, 3072), "labels": labels[part].tolist()}
        (base / name).write_bytes(pickle.dumps(batch))
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": []}))
    monkeypatch.setattr(TorchvisionCIFAR10, "_check_integrity", lambda self: True)  # sums of the full files
    monkeypatch.setattr(TorchvisionCIFAR10, "_load_meta", lambda self: None)
    data = CIFAR10(str(tmp_path))
    training = data.training()
    assert training.labels[:5].tolist() == labels[:5].tolist()
    assert torch.equal(training.pixels[7], torch.from_numpy(images[7]).permute(2, 0, 1))
    assert data.indices() == [0, 20, 40, 60, 80]
    assert torch.equal(data[20], torch.from_numpy(images[520]).permute(2, 0, 1) / 255)
    assert data.label(20) == labels[520]
    assert data.classes[6] == "frog"


def save(path, height=8, width=8, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, 2 * value, 255 - value)).save(path)


@pytest.fixture
def classes_root(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for position, name in enumerate(("ant", "bee")):
            for k in range(count):
                save(tmp_path / part / name / f"{k}.png", value=100 * position + k)
    return tmp_path


def own_classes(root, **settings):
    return Classes(str(root), [0.5] * 3, [0.25] * 3, **settings)


def test_own_classes(classes_root):
    data = own_classes(classes_root)
    assert data.classes == ["ant", "bee"]
    assert data.shape == (3, 8, 8)
    training, testing = data.training(), data.testing()
    assert training.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert testing.pixels[:, 0, 0, 0].tolist() == [0, 1, 100, 101]
    assert sorted(data.indices()) == [0, 1, 2, 3]
    assert data.label(2) == 1
    assert torch.allclose(data[3][:, 0, 0], torch.tensor([101, 202, 154]) / 255)
    assert len(own_classes(classes_root, count=2).indices()) == 2
    before = data.fingerprint()
    save(classes_root / "train" / "ant" / "0.png", value=9)
    assert own_classes(classes_root).fingerprint() != before


def test_a_class_without_test_images_keeps_its_label(classes_root):
    for file in (classes_root / "test" / "ant").iterdir():
        file.unlink()
    (classes_root / "test" / "ant").rmdir()
    assert own_classes(classes_root).testing().labels.tolist() == [1, 1]


def test_wrong_folders_of_classes(classes_root, tmp_path_factory):
    with pytest.raises(MissingDataError, match="dataset=digits"):
        own_classes(classes_root / "nowhere")
    (classes_root / "test" / "ant" / "0.png").write_bytes(b"no image")
    with pytest.raises(MissingDataError, match=r"test/ant/0\.png: not a readable image"):
        own_classes(classes_root).testing()
    save(classes_root / "test" / "ant" / "0.png", height=9)
    with pytest.raises(SettingError, match=r"test/ant/0\.png: 9 x 8 pixels"):
        own_classes(classes_root)[0]
    save(classes_root / "test" / "cow" / "0.png")
    with pytest.raises(SettingError, match="class 'cow'"):
        own_classes(classes_root)
    one = tmp_path_factory.mktemp("one")
    save(one / "train" / "ant" / "0.png")
    save(one / "test" / "ant" / "0.png")
    with pytest.raises(SettingError, match="has the images of one class, expected at least 2 classes"):
        own_classes(one)
    (one / "train" / "bee").mkdir()
    (one / "train" / "ant" / "0.png").unlink()
    with pytest.raises(MissingDataError, match="no images"):
        own_classes(one)
    with pytest.raises(SettingError, match=r"dataset\.std"):
        Classes(str(classes_root), [0.5], [0.25])


def test_a_folder_without_test_says_where_the_images_seem_to_be(tmp_path):
    for name in ("up/Test/ant", "up/train/ant", "flat/ant", "flat/bee", "whole/test/ant", "whole/test/bee"):
        save(tmp_path / name / "0.png")
    (tmp_path / "other" / "empty").mkdir(parents=True)
    wanted = {
        "up": "Rename '{0}/up/Test' to test, or link it: ln -s Test {0}/up/test",
        "flat": "Put the folders of the classes, such as 'ant', into '{0}/flat/test'",
        "whole/test": "Set dataset.root={0}/whole, the folder that holds test/",
        "other": "try the embedded digits: dataset=digits",
    }
    for root, advice in wanted.items():
        with pytest.raises(MissingDataError, match=re.escape(advice.format(tmp_path))):
            own_classes(tmp_path / root)


@pytest.mark.slow
def test_the_jpeg_copy_of_cifar10_is_read(tmp_path):
    """Its test images are the official ones, in the official order, up to JPEG loss."""
    archive = SHARED / "cifar10_jpeg.tar.gz"
    if not archive.exists():
        pytest.skip("no JPEG copy of CIFAR-10 next to the checkout")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (train,) = (path for path in tmp_path.rglob("train") if path.is_dir())
    data = Classes(str(train.parent), CIFAR_MEAN, CIFAR_STD)
    testing = data.testing()
    assert len(testing) == 10_000
    assert data.shape == (3, 32, 32)
    assert testing.labels.bincount().tolist() == [1000] * 10
    assert len(data._train_files) == 50_000
    assert len(set(testing.labels[data.indices()].tolist())) == 10
    with (SHARED / "cifar10_test_order.csv").open() as file:
        order = {int(row["index"]): row["file"] for row in csv.DictReader(file)}
    place = {path.relative_to(train.parent).as_posix(): k for k, (path, _) in enumerate(data._test_files)}
    with np.load(SHARED / "cifar10_lossless" / "test_lossless_subset.npz") as stored:
        images = next(stored[key] for key in stored if stored[key].ndim == 4)
        for image, index, label in zip(images, stored["official_test_index"], stored["labels"], strict=True):
            position = place[order[int(index)]]
            assert data.label(position) == label
            copy = testing.pixels[position].permute(1, 2, 0).numpy().astype(float)
            assert abs(copy - image).mean() < 25


@pytest.fixture
def imagenet_root(tmp_path):
    for part, count in (("val", 3), ("train", 4)):
        for position, wnid in enumerate(("n01440764", "n01443537")):
            for k in range(count):
                path = tmp_path / part / wnid / f"{part}_{k}.JPEG"
                save(path, height=300 + 10 * k, width=280, value=100 * position + 10 * k)
    return tmp_path


def test_imagenet(imagenet_root):
    data = ImageNet(str(imagenet_root), step=2)
    assert data.classes == ["n01440764", "n01443537"]
    assert data.indices() == [0, 2, 4]
    assert [data.label(index) for index in range(6)] == [0, 0, 0, 1, 1, 1]
    assert data[4].shape == data.shape == (3, 224, 224)
    assert data[4][:, 5, 5].tolist() == pytest.approx([110 / 255, 220 / 255, 145 / 255], abs=0.02)
    assert len(data.testing()) == 3
    with pytest.raises(IndexError, match="0 to 5"):
        data[6]
    assert len(ImageNet(str(imagenet_root)).indices()) == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_imagenet_training_crops_depend_on_the_key_alone(imagenet_root, workers):
    images = ImageNet(str(imagenet_root)).training()
    assert len(images) == 8

    def batches(chunks, key):
        chunks = [np.array(chunk) for chunk in chunks]
        return list(images.batches(chunks, torch.device("cpu"), np.random.SeedSequence(key), workers))

    (whole, labels), second = batches([[0, 7, 3, 5], [1, 2]], key=1)
    assert whole.shape == (4, 3, 224, 224)
    assert whole.dtype == torch.uint8
    assert labels.tolist() == [0, 1, 0, 1]
    assert second[1].tolist() == [0, 0]
    ((part, _),) = batches([[3, 5]], key=1)
    assert torch.equal(part, whole[2:])


def test_random_windows_lie_within_the_image_and_differ():
    random = np.random.default_rng(0)
    windows = {random_window(300, 200, random) for _ in range(200)}
    assert len(windows) > 190
    for top, left, height, width in windows:
        assert 0 <= top <= 300 - height
        assert 0 <= left <= 200 - width
        assert 0.07 < height * width / 60_000 <= 1
    assert random_window(1, 1000, random) == (0, 0, 1, 1000)


def test_imagenet_missing(tmp_path, imagenet_root):
    with pytest.raises(MissingDataError, match="dataset=digits"):
        ImageNet(str(tmp_path / "nowhere"))
    for file in (imagenet_root / "train" / "n01440764").iterdir():
        file.unlink()
    (imagenet_root / "train" / "n01440764").rmdir()
    with pytest.raises(MissingDataError, match="different classes"):
        ImageNet(str(imagenet_root)).training()


def test_crops_and_flips_are_those_of_a_loop_over_images():
    pixels = torch.randint(0, 256, (40, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    choice = Augmentation.draw(40, 2, True, np.random.default_rng(0))
    by_hand = []
    for k, image in enumerate(pixels):
        padded = np.pad(image.numpy()[:, :, ::-1] if choice.flip[k] else image.numpy(), ((0, 0), (2, 2), (2, 2)))
        by_hand.append(torch.from_numpy(padded[:, choice.down[k] :, choice.right[k] :][:, :6, :5].copy()))
    assert torch.equal(choice(pixels), torch.stack(by_hand))
    assert torch.equal(choice[slice(10, 20)](pixels[10:20]), torch.stack(by_hand)[10:20])
    assert set(choice.down) == set(choice.right) == {0, 1, 2, 3, 4}
    assert 8 < choice.flip.sum() < 32
    still = Augmentation.draw(40, 0, False, np.random.default_rng(0))
    assert torch.equal(still(pixels), pixels)
