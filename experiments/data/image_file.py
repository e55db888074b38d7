"""Read one image file as upright 8-bit RGB. All data sets made of image files use `open_image`."""

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from experiments.data.base import MissingDataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # torchvision's, any case
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")  # recognised by content, whatever the file's name
BEHIND = "white"  # background of transparent pixels
BITS_PER_SAMPLE, PHOTOMETRIC, BLACK_IS_ZERO = 258, 262, 1  # two TIFF tags, and a value of the second
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # the operation that turns an image of each EXIF orientation upright


def open_image(path: Path) -> Image.Image:
    """Decode a whole image file: RGB, 8 bits per channel, rotated as its EXIF orientation says.

    Gray, palette and CMYK images become RGB. Transparent pixels are composited over white. A 16-bit gray value v
    becomes v / 257, rounded. 16-bit colour keeps the higher byte. Colour profiles and gamma are not applied.

    Raises:
        MissingDataError: the file is missing, damaged or not an image. It has more pixels than Pillow considers safe
            (89 million). It has several frames, except in a phone's JPEG, whose first frame is the photograph. Or the
            range of its values is unknown (floats, 32-bit integers).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about damaged metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                return _rgb(_upright(image))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path}: no such image") from error
    except Exception as error:  # decoders raise exceptions of every kind for damaged files
        raise MissingDataError(f"{path}: not a readable image ({_reason(path, error)})") from error


def _upright(image: Image.Image) -> Image.Image:
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise ValueError("it has several frames; save the one to certify as a separate file")
    if image.format == "TIFF" and image.mode.startswith("I;16"):
        kind = image.tag_v2.get(BITS_PER_SAMPLE), image.tag_v2.get(PHOTOMETRIC)  # type: ignore[attr-defined]
        if kind != ((16,), BLACK_IS_ZERO):
            raise ValueError("its gray values are not from 0 (black) to 65535 (white); save it as 8-bit PNG")
    image.load()
    if image.format == "TIFF":
        return image  # loading has already rotated it
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # the metadata may be damaged in any way; the pixels are intact
        orientation = 1
    turn = TURNS.get(orientation)
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.format = image.format
    return turned


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        if "transparency" in image.info:
            raise ValueError("it is 16-bit gray with a transparent value; save it as 8-bit PNG")
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floats"
        raise ValueError(f"its values are {kind}, with an unknown range from black to white; save it as 8-bit PNG")
    if image.has_transparency_data:
        pixels = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", pixels.size, BEHIND), pixels)
    return image.convert("RGB")


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, UnidentifiedImageError):
        start = path.read_bytes()[:512]
        if not start:
            return "the file is empty"
        if is_web_page(start):
            return "it is a web page; the download failed"
        return "its content is not JPEG, PNG, PPM, BMP, TIFF, WebP or GIF"
    said = getattr(error, "strerror", None) or str(error)
    return said.strip().partition("\n")[0] or type(error).__name__


def is_web_page(start: bytes) -> bool:
    """Whether a file's first bytes are those of an HTML page, such as a server's error message."""
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))
