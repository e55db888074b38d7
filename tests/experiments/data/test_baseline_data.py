"""The data of figures 7 and 13 of Cohen et al.: SVHN in its own format, CIFAR-10 with Wong et al.'s normalisation."""

import json

import numpy as np
import pytest
import torch
import torchvision
from scipy.io import savemat

from experiments.certifying.certification import certify
from experiments.data import SVHN, CIFAR10Preprocessed, MissingDataError
from experiments.training.base_function import new_model
from experiments.training.loop import train
from smoothing import SettingError
from smoothing.radii import cohen_radius

RNG = np.random.default_rng(0)


def svhn_file(path, count):
    """A file in the published format: X (32, 32, 3, n), uint8, and y (n, 1), 1 to 10, where 10 is the digit 0."""
    labels = np.arange(count, dtype=np.uint8)[:, None] % 10 + 1
    pixels = RNG.integers(256, size=(32, 32, 3, count), dtype=np.uint8)
    savemat(path, {"X": pixels, "y": labels})
    return pixels, labels


@pytest.fixture
def svhn_root(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.SVHN, "_check_integrity", lambda self: True)  # sums of the full files
    root = tmp_path / "svhn"
    root.mkdir()
    svhn_file(root / "train_32x32.mat", 60)
    svhn_file(root / "test_32x32.mat", 40)
    return root


def test_svhn_in_the_official_format(svhn_root):
    pixels, _ = svhn_file(svhn_root / "test_32x32.mat", 40)
    data = SVHN(str(svhn_root))
    assert data.indices() == list(range(40))
    assert SVHN(str(svhn_root), step=20).indices() == [0, 20]
    assert torch.equal(data[7], torch.from_numpy(pixels[:, :, :, 7]).permute(2, 0, 1) / 255)
    assert [data.label(k) for k in (0, 8, 9)] == [1, 9, 0]
    assert data.classes[0] == "0"
    training = data.training()
    assert training.pixels.shape == (60, 3, 32, 32)
    assert training.pixels.is_contiguous()
    assert sorted(set(training.labels.tolist())) == list(range(10))
    with pytest.raises(IndexError):
        data[40]


def test_svhn_is_divided_by_255_and_nothing_more(svhn_root, composed):
    data = SVHN(str(svhn_root))
    x = data[0][None]
    assert (data.mean, data.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    model = new_model(composed("model=resnet20"), data)
    assert torch.equal(model.features[0](x), x)


@pytest.mark.parametrize("fault", ["missing", "empty", "cut", "text", "another"])
def test_svhn_that_cannot_be_read_is_one_line(svhn_root, fault):
    file = svhn_root / "test_32x32.mat"
    content = file.read_bytes()
    file.unlink()
    if fault == "another":
        savemat(file, {"X": np.zeros((28, 28, 1, 4), dtype=np.uint8), "y": np.ones((4, 1))})
    elif fault != "missing":
        file.write_bytes({"empty": b"", "cut": content[:-999], "text": b"<html>"}[fault])
    with pytest.raises(MissingDataError, match=r"dataset\.root: .*test_32x32\.mat.*dataset=digits") as error:
        SVHN(str(svhn_root))
    assert "\n" not in str(error.value)


def test_the_sums_of_svhns_files_are_checked(tmp_path):
    svhn_file(tmp_path / "test_32x32.mat", 4)
    with pytest.raises(MissingDataError, match="not the published file"):
        SVHN(str(tmp_path))


def test_svhn_is_trained_on_and_certified(svhn_root, composed, tmp_path):
    roots = (f"dataset.root={svhn_root}", f"checkpoints.root={tmp_path}/c", f"results.root={tmp_path}/r", "device=cpu")
    small = ("model.depth=8", "trainer.epochs=1", "trainer.batch_size=30", "certifier.n0=8", "certifier.n=16")
    plain = composed("experiment=svhn_gaussian", *roots, *small, "limit=2")
    train(plain)
    record = json.loads((certify(plain).parent / "run.json").read_text())
    assert record["identity"]["dataset"] == {"type": "SVHN", "step": 1}


@pytest.fixture
def cifar10(monkeypatch):
    """CIFAR-10 with three random images."""

    class Few:
        def __init__(self, root, train, download):
            self.data, self.targets = RNG.integers(256, size=(3, 32, 32, 3), dtype=np.uint8), [0, 1, 2]

    monkeypatch.setattr("experiments.data.cifar10.CIFAR10.kind", Few)


def test_radii_divided_by_std_are_those_of_who_normalises_first(cifar10, composed):
    """A classifier of pixels under noise sigma equals one of normalised pixels under sigma / std. Radii scale alike."""
    plain = composed("experiment=cifar10_wong")
    settings = dict(plain.dataset.arguments)
    data = CIFAR10Preprocessed(**settings)
    mean, std = torch.tensor(data.mean).view(3, 1, 1), data.std[0]
    model = new_model(plain, data).eval()
    sigma, noise = plain.noise.get("sigma"), torch.randn(4, 3, 32, 32)
    theirs = torch.nn.Sequential(*list(model.layers)[1:])
    with torch.inference_mode():
        ours = model(data[0] + sigma * noise)
        assert torch.allclose(ours, theirs((data[0] - mean) / std + 0.6 * noise), rtol=1e-4, atol=1e-5)
    assert cohen_radius(sigma, 0.9) / std == pytest.approx(cohen_radius(0.6, 0.9), rel=1e-12)
    assert data.indices() == [0, 1, 2]


def test_the_other_baseline_is_shifted_alone(cifar10, composed):
    plain = composed("experiment=cifar10_crown")
    settings = dict(plain.dataset.arguments)
    data = CIFAR10Preprocessed(**settings)
    assert torch.equal(new_model(plain, data).features[0](data[0][None])[0], data[0] - 0.5)


@pytest.mark.parametrize(("mean", "std"), [([0.5], [1.0]), ([0.5] * 3, [0.0, 1.0, 1.0]), ([0.5] * 3, [1.0])])
def test_refused(mean, std):
    with pytest.raises(SettingError, match=r"dataset\.mean, dataset\.std: expected three"):
        CIFAR10Preprocessed(mean, std)
