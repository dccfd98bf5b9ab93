"""Pictures small enough to travel inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.io.images import open_image

LONGER_SIDE = 176
"""Pixels. Shown at half of that on a dense screen, it is sharp."""

QUALITY = 78


@dataclass(frozen=True)
class Picture:
    """A picture as a `data:` URI, with its size in pixels; or the reason why there is none."""

    uri: str = ""
    width: int = 0
    height: int = 0
    missing: str = ""


def embed(path: Path) -> Picture:
    """A picture file as a small JPEG. A file that is gone or broken gives a picture that says so."""
    try:
        image = open_image(path)
    except DataError as error:
        return Picture(missing=str(error))
    image.thumbnail((LONGER_SIDE, LONGER_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=QUALITY, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(uri, image.width, image.height)
