"""What a trained model may be given to encode: texts, pictures in files or in memory, feature rows; one or many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from dckt_core.base.errors import ArgumentError
from dckt_core.contract.pairs import ImageItem, Medium, TextItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data.rows import NUMBERS, as_rows
from dckt_core.io.images import as_rgb

CHANNELS = (3, 4)
"""Of a picture as an array: RGB, or RGBA."""

Images = Any
"""One or many of: a path, a PIL image, a picture as an array, uint8 [h, w] or [h, w, 3]; or rows [n, d]."""
Texts = Any
"""A string, or many; or rows [n, d]."""


@dataclass(frozen=True, slots=True)
class Picture(ImageItem):
    """An image in memory. Its path is what errors call it; there is no such file."""

    picture: Image.Image | None = None

    def open(self, side: int | None = None) -> Image.Image:
        """The picture, upright, in RGB; as large as it is."""
        assert self.picture is not None
        return as_rgb(self.picture, str(self.path))


def given(medium: Medium, value: Any, encoder: Encoder) -> Sequence[Item] | Tensor:
    """Items of one medium, or rows [n, d] as a frozen encoder gives them.

    Raises:
        ArgumentError: it is neither, or of another medium; one line that says what was given.
    """
    name = f"{medium}s"
    if isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in NUMBERS):
        if medium == "image" and isinstance(value, np.ndarray) and value.dtype == np.uint8:
            return [_image(number, one) for number, one in enumerate(_pictures(value))]
        if medium == "image" and value.ndim > 2:
            raise ArgumentError(
                f"images: an array of {value.dtype} {tuple(value.shape)}; a picture is numpy's uint8 [h, w, 3] "
                "from 0 to 255, and rows are [n, d]"
            )
        if encoder.trainable:
            raise ArgumentError(f"{name}: rows were given, and the {medium} encoder trains along: give {name}")
        return as_rows(value, name, width=encoder.dim)
    single = isinstance(value, (str, bytes, Path, ImageItem, TextItem, Image.Image)) or not isinstance(value, Iterable)
    if isinstance(value, Mapping):
        raise ArgumentError(f"{name}: {type(value).__name__}, where one of them or a sequence is expected")
    items = [value] if single else list(value)
    make = _image if medium == "image" else _text
    return [make(number, item) for number, item in enumerate(items)]


def _text(number: int, value: object) -> TextItem:
    if isinstance(value, TextItem):
        return value
    if isinstance(value, str):
        return TextItem(str(number), str(value))
    raise ArgumentError(f"texts: item {number} is of type {type(value).__name__}, and no string")


def _image(number: int, value: object) -> ImageItem:
    if isinstance(value, ImageItem):
        return value
    if isinstance(value, (str, Path)):
        return ImageItem(str(value), Path(value))
    name = f"image {number}"
    if isinstance(value, Image.Image):
        return Picture(name, Path(name), picture=value)
    if isinstance(value, np.ndarray):
        if value.dtype == np.uint8 and value.size and (value.ndim == 2 or _has_channels(value, 3)):
            return Picture(name, Path(name), picture=Image.fromarray(value))
        raise ArgumentError(
            f"images: item {number} is an array of {value.dtype} {value.shape}; a picture is uint8 [h, w, 3] or [h, w]"
        )
    raise ArgumentError(f"images: item {number} is of type {type(value).__name__}, and neither a path nor a picture")


def _pictures(value: np.ndarray[Any, Any]) -> Sequence[np.ndarray[Any, Any]]:
    """One picture [h, w, 3], or many [n, h, w, 3]."""
    if _has_channels(value, 3):
        return [value]
    if _has_channels(value, 4):
        return list(value)
    raise ArgumentError(
        f"images: an array of uint8 {value.shape}; a picture is uint8 [h, w, 3], and rows [n, d] are floating-point"
    )


def _has_channels(value: np.ndarray[Any, Any], axes: int) -> bool:
    return value.ndim == axes and value.shape[-1] in CHANNELS
