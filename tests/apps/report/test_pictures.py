from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image

from dckt_apps.report.pictures import LONGER_SIDE, embed


@pytest.mark.parametrize("size", [(640, 200), (90, 900), (20, 10)])
def test_a_picture_travels_small_and_in_proportion(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (200, 30, 60)).save(tmp_path / "a.png")
    found = embed(tmp_path / "a.png")
    head, _, body = found.uri.partition(",")
    assert head == "data:image/jpeg;base64"
    image = Image.open(io.BytesIO(base64.b64decode(body)))
    assert image.format == "JPEG"
    assert image.size == (found.width, found.height)
    assert max(image.size) == min(LONGER_SIDE, max(size))
    assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.1)
    assert image.convert("RGB").getpixel((0, 0))[0] > 150  # type: ignore[index]


def test_a_picture_that_is_gone_says_so(tmp_path: Path) -> None:
    assert embed(tmp_path / "gone.png").missing.endswith("gone.png: no such file")
    (tmp_path / "a.png").write_bytes(b"nothing")
    assert embed(tmp_path / "a.png").missing.endswith("no picture of a known format")
