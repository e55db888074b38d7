"""Data sets: real pixels in [0, 1], fixed indices, and a clear error if data is missing."""

import pytest
import torch
from PIL import Image
from torchvision.datasets import CelebA as TorchvisionCelebA

from experiments.data import CelebA, Faces, ImageFolder, MissingDataError, Portraits


def write_images(folder, count, size=(178, 218)):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.new("RGB", size, (i, 2 * i, 255 - i)).save(folder / f"{i + 1:06d}.jpg", quality=100)


def test_faces_are_photographs_in_celeba_format():
    faces = Faces()
    assert len(faces.indices()) == 101
    for index in (0, 1, 100):
        image = faces[index]
        assert image.shape == (3, 218, 178)
        assert image.dtype == torch.float32
        assert 0 <= image.min() < 0.3 < 0.6 < image.max() <= 1
    assert torch.equal(faces[5], Faces()[5])
    with pytest.raises(IndexError):
        faces[101]


def test_portraits_are_8_bit_photographs_in_celeba_format():
    portraits = Portraits()
    assert portraits.indices() == [0, 1, 2]
    for index in portraits.indices():
        image = portraits[index]
        assert image.shape == (3, 218, 178)
        assert torch.equal((image * 255).round() / 255, image)
    assert torch.equal(portraits[0], Faces()[0])
    assert portraits.file(1).endswith("grace_hopper.jpg")
    for index in (-1, 3):
        with pytest.raises(IndexError, match="0 to 2"):
            portraits[index]


def test_folder_is_sorted_and_knows_its_content(tmp_path):
    write_images(tmp_path / "a", 3)
    Image.new("L", (50, 40), 128).save(tmp_path / "z.png")
    (tmp_path / "notes.txt").write_text("no image")
    data = ImageFolder(str(tmp_path))
    assert data.indices() == [0, 1, 2, 3]
    assert data[3].shape == (3, 40, 50)
    assert torch.allclose(data[3], torch.tensor(128 / 255))
    before = data.fingerprint()
    (tmp_path / "a").rename(tmp_path / "b")
    assert ImageFolder(str(tmp_path)).fingerprint() != before  # other names, other order
    moved = tmp_path.rename(tmp_path.parent / "moved")
    (moved / "b").rename(moved / "a")
    assert ImageFolder(str(moved)).fingerprint() == before
    Image.new("L", (50, 40), 129).save(moved / "z.png")
    assert ImageFolder(str(moved)).fingerprint() != before


def test_folder_errors(tmp_path):
    with pytest.raises(MissingDataError, match="dataset=faces"):
        ImageFolder(str(tmp_path / "nowhere"))
    with pytest.raises(MissingDataError, match="no images"):
        ImageFolder(str(tmp_path))
    (tmp_path / "broken.png").write_bytes(b"not a png")
    with pytest.raises(MissingDataError, match=r"broken\.png: not a readable image"):
        ImageFolder(str(tmp_path))[0]


def test_celeba_missing(tmp_path):
    with pytest.raises(MissingDataError, match="dataset=faces") as error:
        CelebA(str(tmp_path))
    assert "img_align_celeba" in str(error.value)


@pytest.fixture
def celeba_root(tmp_path, monkeypatch):
    """CelebA's layout with 90 images, 60 of them test images; torchvision's checksums are those of the real files."""
    base = tmp_path / "celeba"
    write_images(base / "img_align_celeba", 90)
    names = [f"{i + 1:06d}.jpg" for i in range(90)]
    (base / "list_eval_partition.txt").write_text("".join(f"{n} {2 if i >= 30 else 0}\n" for i, n in enumerate(names)))
    (base / "identity_CelebA.txt").write_text("".join(f"{name} 1\n" for name in names))
    for listing, columns in (("list_bbox_celeba", 4), ("list_landmarks_align_celeba", 10), ("list_attr_celeba", 40)):
        header = " ".join(f"c{i}" for i in range(columns))
        rows = "".join(f"{name} {' '.join(['1'] * columns)}\n" for name in names)
        (base / f"{listing}.txt").write_text(f"{len(names)}\n{header}\n{rows}")
    monkeypatch.setattr(TorchvisionCelebA, "_check_integrity", lambda self: True)
    return tmp_path


def test_celeba_chooses_random_test_images_by_seed(celeba_root):
    data = CelebA(str(celeba_root), count=50, seed=0)
    chosen = data.indices()
    assert len(set(chosen)) == 50
    assert max(chosen) < 60
    assert chosen == CelebA(str(celeba_root), count=50, seed=0).indices()
    assert chosen != CelebA(str(celeba_root), count=50, seed=1).indices()
    image = data[7]  # the eighth test image, 000038.jpg
    assert image.shape == (3, 218, 178)
    assert image[:, 0, 0].tolist() == pytest.approx([37 / 255, 74 / 255, 218 / 255], abs=0.02)
    with pytest.raises(IndexError):
        data[60]
