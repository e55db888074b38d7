"""All data sets decode images with one function: upright 8-bit images, or a one-line error that names the file."""

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.data import CelebA, Classes, ImageFolder, ImageNet, MissingDataError
from experiments.data.image_file import open_image

RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16)
CORNER = Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0] * 3, [9] * 3, [99] * 3]], np.uint8))


def pixels(path):
    return np.asarray(open_image(path))


def saved(path, image, **settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **settings)
    return path


def oriented(value):
    exif = Image.Exif()
    exif[0x112] = value
    return exif


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a[::-1, ::-1].swapaxes(0, 1)),
        (8, np.rot90),
        (9, lambda a: a),  # no such orientation
    ],
)
def test_images_are_turned_as_their_orientation_says(tmp_path, ending, orientation, upright):
    lossless = {"lossless": True} if ending == "webp" else {}
    path = saved(tmp_path / f"a.{ending}", CORNER, exif=oriented(orientation), **lossless)
    assert np.array_equal(pixels(path), upright(np.asarray(CORNER)))


def test_every_reader_turns_images(tmp_path):
    """A 300 x 260 JPEG with an EXIF rotation: its red row ends up on the right."""
    image = np.zeros((300, 260, 3), np.uint8)
    image[:150] = 255, 0, 0
    turned = {"exif": oriented(6), "quality": 100, "subsampling": 0}
    for part in ("val/n00000000", "val/n00000001", "train/a", "train/b", "test/a", "celeba/img_align_celeba"):
        saved(tmp_path / part / "1.jpg", Image.fromarray(image), **turned)
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("1.jpg 2\n")
    colours = {"mean": [0.5] * 3, "std": [0.5] * 3}
    for data in (
        ImageFolder(str(tmp_path / "test")),
        Classes(str(tmp_path), **colours),
        ImageNet(str(tmp_path)),
        CelebA(str(tmp_path)),
    ):
        x = data[0]
        assert x[0, :, -1].min() > 0.95 > 0.05 > x[0, :, 0].max(), type(data).__name__


def test_damaged_metadata_leaves_the_pixels(tmp_path):
    path = saved(tmp_path / "a.jpg", CORNER, exif=b"Exif\0\0no metadata", quality=100)
    assert pixels(path).shape == (2, 3, 3)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bit_gray_is_scaled(tmp_path, name):
    assert np.array_equal(pixels(saved(tmp_path / name, Image.fromarray(RAMP * 257)))[..., 1], RAMP)
    near = pixels(saved(tmp_path / name, Image.fromarray(RAMP[:15] * 257 + 128)))
    assert np.array_equal(near[..., 2], RAMP[:15])


def test_16_bit_colour_keeps_the_higher_byte(tmp_path):
    values = np.repeat((RAMP * 257).astype(">u2")[..., None], 3, axis=2)
    (tmp_path / "a.ppm").write_bytes(b"P6 16 16 65535\n" + values.tobytes())
    assert np.array_equal(pixels(tmp_path / "a.ppm")[..., 0], RAMP)


@pytest.mark.parametrize(("kind", "said"), [(np.float32, "floats"), (np.int32, "32-bit integers")])
def test_values_without_a_known_white_are_refused(tmp_path, kind, said):
    path = saved(tmp_path / "a.tif", Image.fromarray(RAMP.astype(kind)))
    with pytest.raises(MissingDataError, match=rf"a\.tif: not a readable image .*{said}"):
        open_image(path)


@pytest.mark.parametrize(("tag", "value"), [(258, 12), (262, 0)])  # bits a value; 0: white is zero
def test_16_bit_tiffs_of_another_scale_are_refused(tmp_path, tag, value):
    path = saved(tmp_path / "a.tif", Image.fromarray(RAMP * 257))
    entry = tag.to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    content = bytearray(path.read_bytes())
    content[content.index(entry) + 8] = value
    path.write_bytes(content)
    with pytest.raises(MissingDataError, match=r"not from 0 \(black\) to 65535 \(white\)"):
        open_image(path)


def test_transparent_pixels_are_laid_over_white(tmp_path):
    clear = Image.new("RGBA", (3, 1), (10, 20, 30, 0))
    clear.putpixel((1, 0), (10, 20, 30, 255))
    clear.putpixel((2, 0), (0, 0, 0, 128))
    assert pixels(saved(tmp_path / "a.png", clear))[0].tolist() == [[255] * 3, [10, 20, 30], [127] * 3]
    gray = Image.new("LA", (1, 1), (7, 0))
    assert pixels(saved(tmp_path / "b.png", gray))[0, 0].tolist() == [255] * 3
    palette = Image.new("P", (2, 1))
    palette.putpalette([1, 2, 3, 200, 100, 50])
    palette.putpixel((1, 0), 1)
    assert pixels(saved(tmp_path / "c.png", palette, transparency=0))[0].tolist() == [[255] * 3, [200, 100, 50]]
    assert pixels(saved(tmp_path / "d.png", palette))[0].tolist() == [[1, 2, 3], [200, 100, 50]]
    opaque = np.random.default_rng(0).integers(0, 256, (40, 40, 4), dtype=np.uint8)
    opaque[..., 3] = 255
    assert np.array_equal(pixels(saved(tmp_path / "e.png", Image.fromarray(opaque))), opaque[..., :3])


def test_other_kinds_of_pixels(tmp_path):
    assert pixels(saved(tmp_path / "a.png", Image.new("1", (2, 2), 1)))[0, 0].tolist() == [255] * 3
    cyan_off = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    for name in ("a.jpg", "a.tif"):
        assert pixels(saved(tmp_path / name, cyan_off))[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)
    png = saved(tmp_path / "a.png", CORNER).rename(tmp_path / "png.JPEG")  # as n02105855_2933.JPEG of ImageNet
    assert np.array_equal(pixels(png), np.asarray(CORNER))


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.tif", "a.webp"])
def test_several_frames_are_refused(tmp_path, name):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(MissingDataError, match="several frames"):
        open_image(path)


def test_the_photograph_of_a_phones_jpeg_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "a.jpg", frames[0], format="MPO", save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)


def damaged(folder):
    """Files that are not images, and the expected error for each."""
    whole = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    Image.new("1", (10_000, 10_000)).save(folder / "bomb.png")
    for name in ("cut.jpg", "cut.png", "cut.bmp", "cut.ppm", "cut.webp", "cut.tif"):
        content = saved(folder / name, whole).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 2 // 3])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.jpg").write_bytes(b"\n<!DOCTYPE html><html>404</html>")
    (folder / "text.png").write_bytes(b"no image")
    saved(folder / "vector.eps", whole).rename(folder / "vector.png")  # Pillow would run Ghostscript on it
    return {"bomb.png": "89,478,485 pixels", "empty.jpg": "is empty", "page.jpg": "web page", "text.png": "is not JPEG"}


def test_damaged_files_are_one_line(tmp_path):
    said = damaged(tmp_path)
    (tmp_path / "folder.png").mkdir()
    for path in [*tmp_path.iterdir(), tmp_path / "nowhere.png"]:
        with pytest.raises(MissingDataError) as error:
            open_image(path)
        assert str(error.value).startswith(f"{path}: ")
        assert said.get(path.name, "") in str(error.value)
        assert "\n" not in str(error.value)


def test_unreadable_images_are_found_before_anything_is_sampled(tmp_path, capsys):
    damaged(tmp_path)
    saved(tmp_path / "good.png", CORNER)
    data = ImageFolder(str(tmp_path))
    good = [k for k in data.indices() if data.file(k) == "good.png"]
    with pytest.raises(MissingDataError, match=r"11 of 12 examples cannot be read: .*bomb\.png.*; 8 more.*=skip"):
        data.check(data.indices())
    assert data.check(good) == good
    assert capsys.readouterr().err == ""
    assert ImageFolder(str(tmp_path), unreadable="skip").check(data.indices()) == good
    with pytest.raises(MissingDataError, match=r"8 more$"):  # none is left
        ImageFolder(str(tmp_path), unreadable="skip").check([k for k in data.indices() if k not in good])
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "dataset.unreadable=skip: 11 of 12 examples cannot be read" in line


def test_size_makes_the_longer_side_smaller(tmp_path):
    stripes = np.zeros((40, 60, 3), np.uint8)
    stripes[:, ::2] = 255
    saved(tmp_path / "a.png", Image.fromarray(stripes))
    saved(tmp_path / "b.png", CORNER)
    data = ImageFolder(str(tmp_path), size=30)
    assert data[0].shape == (3, 20, 30)
    assert (data[0] - 0.5).abs().max() < 0.1  # antialiased; without it every other column would be black or white
    assert torch.equal(data[1], ImageFolder(str(tmp_path))[1])  # never enlarged
