"""Pictures of phones: HEIC, read where pillow-heif is installed, and called by its name where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dckt_core.base.errors import DataError
from dckt_core.io import images
from dckt_core.io.images import open_image
from dckt_core.retrieval.listing import SUFFIXES
from tests.support.needs import part

HEADER = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def test_without_pillow_heif_a_heic_picture_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_formats", lambda: ("JPEG", "PNG"))
    (tmp_path / "photo.heic").write_bytes(HEADER)
    said = r"photo\.heic: a HEIC picture, which needs pillow-heif: pip install 'dckt\[heic\]'$"
    with pytest.raises(DataError, match=said):
        open_image(tmp_path / "photo.heic")
    (tmp_path / "other.heic").write_bytes(bytes(64))
    with pytest.raises(DataError, match="no picture of a known format"):
        open_image(tmp_path / "other.heic")


def test_with_it_the_picture_is_read_and_a_broken_one_refused(tmp_path: Path) -> None:
    part("pillow_heif").register_heif_opener()
    images._formats.cache_clear()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "photo.heic", format="HEIF")
    picture = open_image(tmp_path / "photo.heic")
    assert picture.size == (64, 48)
    red, green, blue = picture.getpixel((30, 20))  # type: ignore[misc]
    assert red > 180 > 60 > max(green, blue)
    (tmp_path / "cut.heic").write_bytes((tmp_path / "photo.heic").read_bytes()[:200])
    (tmp_path / "header.heic").write_bytes(HEADER)
    for name in ("cut.heic", "header.heic"):
        with pytest.raises(DataError, match=rf"{name}: (cannot be decoded|no picture of a known format)"):
            open_image(tmp_path / name)
    assert {".heic", ".heif"} <= set(SUFFIXES["image"])
