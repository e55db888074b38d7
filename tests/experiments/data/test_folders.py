"""Real-world folders: files that are not images are ignored, and labels do not shift."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.config.identity import description
from experiments.config.settings import Group
from experiments.data import CelebA, Classes, ImageFolder, ImageNet, MissingDataError
from smoothing import SettingError

LEFT_BEHIND = (".ipynb_checkpoints", "__MACOSX", "lost+found", "@eaDir", ".git", "$RECYCLE.BIN")


def save(path, height=8, width=8, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, value, value)).save(path)


def litter(folder):
    """Put files other than images into a folder, with names that sort before, between and after the images."""
    for name in LEFT_BEHIND:
        save(folder / name / "0.png")
    (folder / "._0.png").write_bytes(b"resource fork")
    (folder / "Thumbs.db").write_bytes(b"thumbnails")
    (folder / "desktop.ini").write_text("[.ShellClassInfo]")
    (folder / "labels.txt").write_text("0.png 1")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    (folder / "gone").symlink_to(folder / "nowhere")
    (folder / "round").symlink_to(folder / "round")
    (folder / "a.png").mkdir()
    (folder / "empty").mkdir()


@pytest.fixture
def classes_root(tmp_path):
    for part in ("train", "test"):
        for position, name in enumerate(("ant", "bee", "cow")):
            for k in range(2):
                save(tmp_path / part / name / f"{k}.png", value=100 * position + k)
    return tmp_path


def own_classes(root, **settings):
    return Classes(str(root), [0.5] * 3, [0.25] * 3, **settings)


def test_what_is_no_image_is_left_out_of_a_folder(tmp_path, capsys):
    for name in ("0.png", "b/1.JPG", "z.png"):
        save(tmp_path / name)
    litter(tmp_path)
    litter(tmp_path / "b")
    save(tmp_path / "#.gif")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    data = ImageFolder(str(tmp_path))
    assert [data.file(k) for k in data.indices()] == ["0.png", "b/1.JPG", "z.png"]
    assert data.check(data.indices()) == [0, 1, 2]
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert re.search(r": left out \d+ files of other kinds, hidden files or folders without images: #\.gif, ", line)
    assert "$RECYCLE.BIN" in line
    assert " more" in line


def test_links_are_followed(tmp_path, capsys):
    save(tmp_path / "disk" / "0.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "disk")
    data = ImageFolder(str(tmp_path / "photos"))
    assert [data.file(k) for k in data.indices()] == ["link/0.png"]
    assert capsys.readouterr().err == ""


def test_what_is_no_class_shifts_no_label(classes_root, capsys):
    for part in ("train", "test"):
        litter(classes_root / part)
        litter(classes_root / part / "bee")
        save(classes_root / part / "a.jpg" / "0.png")  # a folder named like an image
    capsys.readouterr()
    data = own_classes(classes_root)
    assert data.classes == ["ant", "bee", "cow"]
    assert data.testing().labels.tolist() == data.training().labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert [data.file(k) for k in range(2, 4)] == ["test/bee/0.png", "test/bee/1.png"]
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "left out " in line


def test_images_below_a_class_folder_belong_to_the_class(classes_root):
    """A class whose images are all in subfolders keeps its label, as in torchvision."""
    (classes_root / "test" / "ant" / "1.png").unlink()
    (classes_root / "test" / "ant" / "deep").mkdir()
    (classes_root / "test" / "ant" / "0.png").rename(classes_root / "test" / "ant" / "deep" / "0.png")
    data = own_classes(classes_root)
    assert data.classes == ["ant", "bee", "cow"]
    assert sorted(data.label(index) for index in data.indices()) == [0, 1, 1, 2, 2]


def test_a_fingerprint_is_of_content_and_made_once(classes_root, monkeypatch):
    data = own_classes(classes_root)
    before = data.fingerprint()
    litter(classes_root / "test" / "ant")
    assert own_classes(classes_root).fingerprint() == before
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: pytest.fail("read again"))
    assert data.fingerprint() == before


def test_a_fingerprint_stays_that_of_committed_runs(tmp_path):
    """The fingerprint of a folder with known bytes has not changed since files other than images are ignored."""
    for part in ("train", "test"):
        for name in ("ant", "bee"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "0.ppm").write_bytes(b"P6 1 1 255\n" + name.encode())
    assert own_classes(tmp_path).fingerprint() == "a85c697a6fa81fcb"


def test_new_settings_leave_identities_as_they_were():
    group = Group("experiments.data.Classes", {"root": "a", "count": 5, "size": None, "unreadable": "skip"})
    assert description(group) == {"type": "Classes", "count": 5}
    assert description(group.replaced(size=32)) == {"type": "Classes", "count": 5, "size": 32}


def test_numbers_are_sorted_as_text_and_said(tmp_path, capsys):
    for name in ("0", "1", "2", "9", "10", "11"):
        for part in ("train", "test"):
            save(tmp_path / part / name / "0.png", value=int(name))
    data = own_classes(tmp_path)
    assert data.classes == ["0", "1", "10", "11", "2", "9"]
    assert capsys.readouterr().err.count("label 2 is '10'") == 1
    padded = tmp_path / "padded"
    for name in ("00", "01", "10"):
        save(padded / "test" / name / "0.png")
    own_classes(padded)
    assert capsys.readouterr().err == ""


def test_classes_without_training_images_are_for_trained_models(classes_root):
    (classes_root / "train").rename(classes_root / "other")
    data = own_classes(classes_root)
    assert data.classes == ["ant", "bee", "cow"]
    assert data.label(4) == 2
    with pytest.raises(MissingDataError, match=r"no images in '.*/train/<class>' to train on"):
        data.training()


def test_a_class_that_is_only_in_test(classes_root):
    save(classes_root / "test" / "dog" / "0.png")
    with pytest.raises(SettingError, match=r"class 'dog' .* has no images in .*Remove it from test/"):
        own_classes(classes_root)


def test_images_of_several_sizes_are_resized_and_cropped(classes_root):
    save(classes_root / "train" / "ant" / "1.png", height=16, width=30, value=50)
    data = own_classes(classes_root)
    with pytest.raises(SettingError, match=r"ant/1\.png: 16 x 30 pixels.*dataset\.size="):
        data.training()
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 255  # the middle third is white
    Image.fromarray(wide).save(classes_root / "test" / "ant" / "0.png")
    data = own_classes(classes_root, size=4)
    assert data.shape == (3, 4, 4)
    assert data[0].min() > 0.7
    assert data.training().pixels.shape == (6, 3, 4, 4)
    with pytest.raises(SettingError, match=r"dataset\.size"):
        own_classes(classes_root, size=0)


def test_unreadable_images_of_classes(classes_root, capsys):
    for part in ("train", "test"):
        (classes_root / part / "ant" / "0.png").write_bytes(b"no image")
    with pytest.raises(MissingDataError, match=r"train/ant/0\.png: not a readable image"):
        own_classes(classes_root)
    with pytest.raises(SettingError, match=r"dataset\.unreadable: expected refuse or skip, got drop"):
        own_classes(classes_root, unreadable="drop")
    data = own_classes(classes_root, unreadable="skip")
    assert data.check(range(6)) == [1, 2, 3, 4, 5]
    assert data.label(1) == 0
    assert data.training().labels.tolist() == data.testing().labels.tolist() == [0, 1, 1, 2, 2]
    assert data.training().pixels[:, 0, 0, 0].tolist() == [1, 100, 101, 200, 201]


@pytest.fixture
def imagenet_root(tmp_path):
    for name, files in (("n01440764", ("a.JPEG", "b.jpg")), ("n01484850", ("c.PNG", "d.JPG"))):
        for file in files:
            save(tmp_path / "val" / name / file, height=260, width=260)
    return tmp_path


def test_imagenet_takes_other_endings_and_leaves_out_the_rest(imagenet_root, capsys):
    before = ImageNet(str(imagenet_root)).contents()
    litter(imagenet_root / "val")
    litter(imagenet_root / "val" / "n01440764")
    capsys.readouterr()
    data = ImageNet(str(imagenet_root), step=1)
    assert [data.file(k) for k in data.indices()] == [
        *("val/n01440764/a.JPEG", "val/n01440764/b.jpg", "val/n01484850/c.PNG", "val/n01484850/d.JPG")
    ]
    assert [data.label(k) for k in data.indices()] == [0, 0, 1, 1]
    assert capsys.readouterr().err.count("\n") == 1
    assert ImageNet(str(imagenet_root)).contents() == before


def test_an_empty_class_of_imagenet_keeps_its_label(imagenet_root):
    (imagenet_root / "val" / "n01443537").mkdir()
    data = ImageNet(str(imagenet_root))
    assert data.classes == ["n01440764", "n01443537", "n01484850"]
    assert data.label(2) == 2


def test_contents_of_imagenet(imagenet_root):
    first = ImageNet(str(imagenet_root)).contents()
    save(imagenet_root / "val" / "n01440764" / "a.JPEG", height=400, width=260)
    resized = ImageNet(str(imagenet_root)).contents()
    (imagenet_root / "val" / "n01440764").rename(imagenet_root / "val" / "n01440765")
    assert len({first, resized, ImageNet(str(imagenet_root)).contents()}) == 3


def test_a_flat_val_is_told_how_to_sort_it(tmp_path):
    for k in range(3):
        save(tmp_path / "val" / f"ILSVRC2012_val_0000000{k}.JPEG")
    with pytest.raises(MissingDataError, match=r"holds 3 images and no class folders. Sort them into val/<wnid>/"):
        ImageNet(str(tmp_path))
    for k in range(3):
        (tmp_path / "val" / f"ILSVRC2012_val_0000000{k}.JPEG").unlink()
    save(tmp_path / "val" / "images" / "0.JPEG")  # Tiny ImageNet's
    with pytest.raises(SettingError, match="one class folder, images"):
        ImageNet(str(tmp_path))


def test_an_unreadable_training_image_of_imagenet_is_one_line(imagenet_root):
    for name in ("n01440764", "n01484850"):
        path = imagenet_root / "train" / name / "0.JPEG"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no image")
    images = ImageNet(str(imagenet_root)).training()
    for workers in (0, 1):
        with pytest.raises(MissingDataError) as error:
            list(images.batches([np.array([0])], torch.device("cpu"), np.random.SeedSequence(0), workers))
        assert str(error.value).startswith(f"{imagenet_root}/train/n01440764/0.JPEG: not a readable image")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("layout", ["torchvision", "kaggle", "kaggle beside"])
def test_layouts_of_celeba(tmp_path, layout):
    base = tmp_path if layout == "kaggle beside" else tmp_path / "celeba"
    images = base / "img_align_celeba"
    for k in range(4):
        save((images if layout == "torchvision" else images / "img_align_celeba") / f"{k}.jpg", 218, 178, 60 * k)
    if layout == "torchvision":
        (base / "list_eval_partition.txt").write_text("0.jpg 0\n1.jpg 2\r\n2.jpg  2\n3.jpg 1\n")
    else:
        (base / "list_eval_partition.csv").write_text("image_id,partition\n0.jpg,0\n1.jpg,2\n2.jpg,2\n3.jpg,1\n")
    data = CelebA(str(tmp_path))
    assert sorted(data.indices()) == [0, 1]
    assert data[1].shape == (3, 218, 178)
    assert float(data[1].mean()) == pytest.approx(120 / 255, abs=0.01)
    assert data.file(1).endswith("img_align_celeba/2.jpg")
    same = data.contents()
    next(images.rglob("2.jpg")).write_bytes(b"")
    assert CelebA(str(tmp_path)).contents() != same
    with pytest.raises(MissingDataError, match=r"1 of 2 examples cannot be read: .*2\.jpg.*is empty"):
        CelebA(str(tmp_path)).check([0, 1])


def test_what_is_missing_of_celeba_is_named(tmp_path):
    base = tmp_path / "celeba"
    (base / "img_align_celeba").mkdir(parents=True)
    with pytest.raises(MissingDataError, match=r"the list list_eval_partition\.txt, or Kaggle's .* is missing"):
        CelebA(str(tmp_path))
    (base / "list_eval_partition.txt").write_text("000001.jpg 2\n000002.j")
    with pytest.raises(MissingDataError, match=r"list_eval_partition\.txt: line 2 is '000002\.j', expected"):
        CelebA(str(tmp_path))
    (base / "list_eval_partition.txt").write_text("<!DOCTYPE html>")
    with pytest.raises(MissingDataError, match=r"list_eval_partition\.txt: a web page"):
        CelebA(str(tmp_path))
    (base / "list_eval_partition.txt").write_text("000001.jpg 2\n")
    with pytest.raises(MissingDataError, match=r"000001\.jpg: no such image"):
        CelebA(str(tmp_path)).check([0])
    (base / "img_align_celeba").rename(base / "images")
    (base / "img_align_celeba.zip").write_bytes(b"PK")
    with pytest.raises(MissingDataError, match=r"img_align_celeba is missing .*unpack img_align_celeba\.zip"):
        CelebA(str(tmp_path))
