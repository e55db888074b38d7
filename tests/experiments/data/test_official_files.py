"""MNIST and CIFAR-10 files found in practice: compressed, truncated, or replaced by an error page."""

import gzip
import pickle

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10 as TorchvisionCIFAR10

from experiments.data import CIFAR10, MNIST, MissingDataError

COUNTS = {"train": 30, "t10k": 20}


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_mnist(root, packed=True, labels=10):
    random = np.random.default_rng(0)
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in COUNTS.items():
        for name, values in (
            ("images-idx3", random.integers(256, size=(count, 28, 28))),
            ("labels-idx1", np.arange(count) % labels),
        ):
            content = idx(values)
            path = raw / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return raw


def test_packed_mnist_is_read_and_left_as_it_is(tmp_path):
    raw = write_mnist(tmp_path / "packed")
    write_mnist(tmp_path / "unpacked", packed=False)
    files = sorted(raw.iterdir())
    data, same = MNIST(str(tmp_path / "packed")), MNIST(str(tmp_path / "unpacked"))
    assert (len(data.training()), len(data.testing())) == (30, 20)
    assert torch.equal(data.testing().pixels, same.testing().pixels)
    assert torch.equal(data.training().labels, same.training().labels)
    assert data.testing().labels.tolist() == [*range(10)] * 2
    assert data.contents() == same.contents() != ""
    assert sorted(raw.iterdir()) == files


def test_mnist_unpacked_by_a_browser(tmp_path):
    """Files named .gz that are already unpacked."""
    for path in write_mnist(tmp_path, packed=False).iterdir():
        path.rename(f"{path}.gz")
    assert len(MNIST(str(tmp_path)).testing()) == 20


def page(content):
    return b"<!DOCTYPE html><html><body>404</body></html>"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (page, "is a web page; the download failed"),
        (lambda content: gzip.compress(content)[:-40], "is damaged"),
        (lambda content: gzip.compress(content)[:20] + b"x" * 40, "is damaged"),
        (lambda content: content[:-1], r"15,679 bytes of values, expected 15,680"),
        (lambda content: content + b"0", r"15,681 bytes of values, expected 15,680"),
        (lambda content: b"", "not an IDX file"),
        (lambda content: b"\0\0\x0d\3" + content[4:], "not an IDX file of bytes"),  # floats
        (lambda content: idx(np.zeros((20, 32, 32))), r"images of shape \(20, 1, 32, 32\)"),
        (lambda content: idx(np.zeros((19, 28, 28))), r"20 labels for images of shape \(19,"),
    ],
)
def test_damaged_mnist_is_one_line(tmp_path, damage, said):
    raw = write_mnist(tmp_path, packed=False)
    path = raw / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MissingDataError, match=said) as error:
        MNIST(str(tmp_path))
    assert "dataset.download=true" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_of_mnist_is_named(tmp_path):
    (write_mnist(tmp_path) / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(MissingDataError, match=r"no raw/train-labels-idx1-ubyte and no \.gz of it"):
        MNIST(str(tmp_path))


def test_labels_out_of_range(tmp_path):
    write_mnist(tmp_path, labels=11)  # as of EMNIST's letters
    with pytest.raises(MissingDataError, match="labels are 0 to 10, expected 0 to 9"):
        MNIST(str(tmp_path))


def test_what_is_wrong_with_cifar10_is_named(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(MissingDataError, match=r"unpack cifar-10-python\.tar\.gz there"):
        CIFAR10(str(tmp_path))
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    with pytest.raises(MissingDataError, match="no data_batch_1"):
        CIFAR10(str(tmp_path))
    (base / "data_batch_1").write_bytes(page(b""))
    with pytest.raises(MissingDataError, match="data_batch_1 is a web page"):
        CIFAR10(str(tmp_path))
    (base / "data_batch_1").write_bytes(pickle.dumps({}))
    with pytest.raises(MissingDataError, match="data_batch_1 is not the published file"):
        CIFAR10(str(tmp_path))
    (base / "data_batch_1.bin").write_bytes(b"\0" * 3073)
    with pytest.raises(MissingDataError, match="binary version"):
        CIFAR10(str(tmp_path))


@pytest.mark.parametrize(
    "batch", [b"", b"no pickle", pickle.dumps([]), pickle.dumps({"data": np.zeros((3, 5)), "labels": [0] * 3})]
)
def test_cifar10_that_passes_the_check_of_its_sums_and_is_damaged(tmp_path, monkeypatch, batch):
    base = tmp_path / "cifar-10-batches-py"
    base.mkdir()
    (base / "test_batch").write_bytes(batch)
    monkeypatch.setattr(TorchvisionCIFAR10, "_check_integrity", lambda self: True)
    with pytest.raises(MissingDataError, match=r"dataset\.root: no CIFAR10, or a damaged one") as error:
        CIFAR10(str(tmp_path))
    assert "\n" not in str(error.value)
