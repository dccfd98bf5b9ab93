"""Opens pictures that come from anywhere: upright, in RGB, or with a one-line reason why not."""

from __future__ import annotations

import base64
import io
import math
import os
import threading
import warnings
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageOps, UnidentifiedImageError

from dckt_core.base.errors import DataError, UsageError
from dckt_core.io.room import Room

MAX_PIXELS = 178_956_970
"""Largest picture that is decoded, in pixels: where Pillow itself refuses. `DCKT_MAX_PIXELS` lowers it."""

ROOM = 1 << 30
"""Bytes that the pictures of all threads may take while they are decoded and scaled; a larger one waits until it is
alone."""
DECODED, KEPT = 12, 4
"""Bytes a pixel: while a picture is decoded, turned and converted, and of the result."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF")
"""What is opened at all. Pillow knows more, among them formats that call other programs; HEIF, which phones write, it
knows through pillow-heif.
"""
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What a HEIC file says of itself in its bytes 4 to 11, behind `ftyp`."""

SPARE = 2
"""How many times as many pixels of a side as are wanted a JPEG keeps when it is decoded at a part of its size. With 2
the scaled picture changes less than by saving the JPEG once more at quality 85."""

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".avif", ".heic", ".heif"),
)
"""What files of pictures are called, in lower case."""

RESCALED = "dckt:rescaled"
"""In the `info` of a picture that had more than 8 bits a sample."""

GREY_BITS = (8, 10, 12, 14, 16)
"""Bits of a sample that devices measure, of those that a 16-bit picture has room for."""


def open_image(path: Path, side: int | None = None) -> Image.Image:
    """The picture in a file, turned upright as its EXIF data say, in RGB.

    16-bit grey keeps the upper 8 of the bits that it uses, which are 8, 10, 12, 14 or 16; grey of 32 bits or of
    fractions goes from its own darkest sample to its brightest; what is transparent becomes white; of an animation the
    first frame is taken. The size is read from the header, and a picture of more than `max_pixels()` is not decoded.
    Safe to call from several threads, which together take no more than `ROOM`.

    Args:
        side: pixels of the shorter side that are wanted, where the picture will be scaled to them. A JPEG of more than
            `SPARE` times as many is decoded at a half, a quarter or an eighth of its size, which takes far less time
            and memory; what is left is never less than `SPARE` times as many.

    Raises:
        DataError: the file is missing, no picture, broken, too large, or of a kind that has no place in RGB.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    cap = max_pixels()
    try:
        with _pillow_is_quiet, path.open("rb") as file, Image.open(file, formats=_formats()) as image:
            width, height = image.size
            if width * height > cap:
                raise DataError(f"{path}: {width} x {height} pixels are more than the {cap} that are opened")
            if side is not None and (share := SPARE * side / min(width, height)) < 1:
                image.draft(image.mode, (math.ceil(share * width), math.ceil(share * height)))  # JPEG alone
            pixels = image.width * image.height
            with _room.taken(pixels * DECODED):
                image.load()
                picture = _to_rgb(_upright(image))
                _room.keep(picture, pixels * KEPT)
            return picture
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{path}: {_unidentified(path)}") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path}: more pixels than the {MAX_PIXELS} that are opened") from None
    except Exception as error:  # decoders of broken files raise whatever they run into
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{path}: cannot be decoded: {reason}") from None


def as_rgb(image: Image.Image, name: str) -> Image.Image:
    """A picture in memory as `open_image` gives those in files.

    Raises:
        DataError: it is broken or of a kind that has no place in RGB; `name` is what the message calls it.
    """
    try:
        return _to_rgb(_upright(image))
    except Exception as error:  # as above: one that was opened and not yet decoded may be broken
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{name}: cannot be decoded: {reason}") from None


def image_size(path: Path) -> tuple[int, int]:
    """Width and height that a picture's header tells of; nothing is decoded. Safe to call from several threads.

    Raises:
        DataError: it is no picture, or one of far more pixels than are opened.
    """
    try:
        with _pillow_is_quiet, path.open("rb") as file, Image.open(file, formats=_formats()) as image:
            return image.size
    except Image.DecompressionBombError:
        raise DataError(f"{path}: more pixels than the {MAX_PIXELS} that are opened") from None
    except Exception:  # decoders of broken files raise whatever they run into
        raise DataError(f"{path}: no picture of a known format") from None


def max_pixels() -> int:
    """The pixel cap: `MAX_PIXELS`, or less where `DCKT_MAX_PIXELS` says so.

    Raises:
        UsageError: the variable is no whole number from 1 to `MAX_PIXELS`.
    """
    said = os.environ.get("DCKT_MAX_PIXELS", str(MAX_PIXELS))
    if not said.isascii() or not said.isdigit() or not 1 <= int(said) <= MAX_PIXELS:
        raise UsageError(f"DCKT_MAX_PIXELS must be a whole number from 1 to {MAX_PIXELS}, not '{said}'")
    return int(said)


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    with suppress(ImportError):
        import_module("pillow_heif").register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)  # AVIF depends on how Pillow was built


def decoders() -> str:
    """What pictures are opened by, as far as it tells which are opened."""
    return f"{PIL.__version__} {' '.join(_formats())}"


def _unidentified(path: Path) -> str:
    """Why a file is no picture."""
    with path.open("rb") as file:
        start = file.read(12)
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS and "HEIF" not in _formats():
        return "a HEIC picture, which needs pillow-heif: pip install 'dckt[heic]'"
    return "no picture of a known format"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data do not make the picture unusable
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        picture = Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
        picture.info[RESCALED] = True
        return picture
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(samples: np.ndarray[Any, Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Samples of 16 or 32 bits, whole or floating-point numbers, to 8-bit ones.

    Cameras and scanners that measure fewer than 16 bits store them in the lower ones, and no file says how many there
    are: the brightest sample tells. What is negative, of more bits or a fraction is a measurement of some range of its
    own: the darkest sample becomes black and the brightest white.

    Raises:
        ValueError: a sample is no finite number.
    """
    if not samples.size:
        return samples.astype(np.uint8)
    darkest, brightest = samples.min().item(), samples.max().item()  # Python's numbers do not overflow
    if not math.isfinite(brightest - darkest):
        raise ValueError("its samples are not all finite numbers")
    if samples.dtype.kind in "iu" and darkest >= 0 and brightest < 1 << GREY_BITS[-1]:
        used = next(bits for bits in GREY_BITS if brightest < 1 << bits)
        return (samples >> (used - 8)).astype(np.uint8)
    share: np.ndarray[Any, np.dtype[np.float64]] = (samples.astype(np.float64) - darkest) / ((brightest - darkest) or 1)
    return (255 * share).round().astype(np.uint8)


_room = Room(ROOM)


class _PillowIsQuiet:
    """Keeps Pillow's warnings about odd files to itself while any thread is inside.

    Warning filters belong to the process, not to a thread: the first thread in sets the filter, the last one out
    restores what was there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
                warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_pillow_is_quiet = _PillowIsQuiet()


def as_data_uri(path: Path, side: int, quality: int = 78) -> str:
    """`as_jpeg` as a `data:` URI."""
    return "data:image/jpeg;base64," + base64.b64encode(as_jpeg(path, side, quality)).decode("ascii")


def as_jpeg(path: Path, side: int, quality: int = 78) -> bytes:
    """A picture file as a small JPEG, whose longer side has so many pixels at most; raises as `open_image`."""
    image = open_image(path)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=quality, optimize=True)
    return stream.getvalue()
