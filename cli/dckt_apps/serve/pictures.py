"""The gallery's pictures, by number. Nothing else can be had: no path comes from outside or goes there."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.io.images import image_size, open_image
from dckt_core.retrieval.gallery import Item

SMALL, LARGE = 400, 1600
"""Pixels of a picture's longer side as it is sent, among others and alone."""

KEPT = 512
"""Small pictures that are kept ready, about 15 MB."""


class Pictures:
    """The pictures of a gallery, in its order.

    Args:
        items: those of an image gallery, each with an `id` and, where there is a picture, its path under `image`.
    """

    def __init__(self, items: Sequence[Mapping[str, str]]) -> None:
        shown = [item for item in items if "image" in item]
        self._numbers = {item["id"]: number for number, item in enumerate(shown)}
        self._paths = [Path(item["image"]) for item in shown]
        self._small = lru_cache(KEPT)(_small)

    def number(self, item: Item) -> int | None:
        """The number of an image; None for a text, and for an image without a file."""
        number = self._numbers.get(item["id"]) if "image" in item else None
        return number if number is not None and self._paths[number].is_file() else None

    def missing(self, item: Item) -> str:
        """Why an image has no number."""
        return "its file is not there any more" if "image" in item else "only its features are known"

    def jpeg(self, number: int, side: int = SMALL) -> bytes:
        """A picture as a JPEG, its longer side of at most so many pixels.

        Raises:
            IndexError: there is no such number.
            DataError: the file is gone or broken.
        """
        if not 0 <= number < len(self._paths):
            raise IndexError(number)
        return self._small(self._paths[number]) if side == SMALL else _jpeg(self._paths[number], side)


def check_pixels(path: Path, most: int) -> None:
    """Whether a picture's header tells of no more than `most` pixels; nothing is decoded.

    Raises:
        DataError: it tells of more, or is no picture.
    """
    width, height = image_size(path)
    if width * height > most:
        raise DataError(f"{path}: {width} x {height} pixels are more than the {most} that are taken")


def _small(path: Path) -> bytes:
    return _jpeg(path, SMALL)


def _jpeg(path: Path, side: int) -> bytes:
    image = open_image(path)
    image.thumbnail((side, side))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=82)
    return stream.getvalue()
