"""What decoding tells of pictures, in one pass and once for the same files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dckt_core.contract.pairs import SPLITS, Pair, PairSet
from dckt_core.data import lookalikes, sights
from dckt_core.data.sights import look_at, of_both, of_pictures


def photo(seed: int, width: int = 64) -> Image.Image:
    """Noise of large grains, another one for each seed."""
    grains = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(grains).resize((width, width), Image.Resampling.BICUBIC)


def compressed(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        photo(number).save(tmp_path / f"{number}.png")
    (tmp_path / "0.jpg").write_bytes(compressed(photo(0, 96)))
    Image.new("RGB", (30, 20), (7, 8, 9)).save(tmp_path / "plain.png")
    Image.fromarray((np.arange(400, dtype=np.uint16) * 10).reshape(20, 20)).save(tmp_path / "deep.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "1.png").read_bytes()[:300])
    return tmp_path


def data(folder: Path, *rows: tuple[str, str]) -> PairSet:
    return PairSet("S", "S", [Pair(name, folder / name, "t", "x", split) for name, split in rows])


def found(folder: Path, pair_set: PairSet):
    seen = look_at([pair.image for pair in pair_set.pairs])
    return {finding.kind: finding for finding in of_pictures(seen, pair_set, SPLITS)}


def test_what_is_broken_plain_or_deep_is_told(folder):
    pair_set = data(folder, ("0.png", "train"), ("plain.png", "train"), ("deep.png", "val"), ("broken.png", "test"))
    seen = look_at([pair.image for pair in pair_set.pairs])
    assert [problem.file.name for problem in seen.problems] == ["broken.png"]
    kinds = {finding.kind: finding for finding in of_pictures(seen, pair_set, SPLITS)}
    assert kinds["one colour"].places == ("'plain.png'",)
    assert (kinds["rescaled"].places, kinds["rescaled"].grave) == (("'deep.png'",), False)
    assert set(kinds) == {"one colour", "rescaled"}


def test_nearly_the_same_picture_in_two_splits(folder):
    clean = data(folder, ("0.png", "train"), ("1.png", "train"), ("2.png", "val"), ("3.png", "test"))
    assert found(folder, clean) == {}
    near = found(folder, data(folder, ("0.png", "train"), ("0.jpg", "test"), ("3.png", "test")))
    assert near["nearly equal pictures"].what == "1 of 2 pictures of split 'test' are nearly one of split 'train'"
    assert near["nearly equal pictures"].places == ("'0.jpg' and '0.png'",)
    assert found(folder, data(folder, ("0.png", "train"), ("0.jpg", "train"), ("3.png", "test"))) == {}
    assert found(folder, data(folder, ("0.png", "val"), ("0.jpg", "test")))["nearly equal pictures"].count == 1


def test_a_large_jpeg_is_like_a_small_one(folder):
    for name, width, quality in (("large.jpg", 1500, 90), ("middle.jpg", 213, 90), ("small.jpg", 80, 50)):
        photo(5, width).save(folder / name, quality=quality)
    names = ("large.jpg", "middle.jpg", "small.jpg", "5.png")
    seen = look_at([folder / name for name in names])
    assert lookalikes.families(lookalikes.alike(seen.looks), 4) == [[0, 1, 2, 3]]


def test_nearly_the_same_picture_in_the_source_and_the_target_s_test(folder):
    source = data(folder, ("0.png", "train"), ("1.png", "train"), ("2.png", "test"))
    target = data(folder, ("3.png", "train"), ("0.jpg", "test"), ("4.png", "test"))
    seen = look_at([pair.image for pair in (*source.pairs, *target.pairs)])
    (one,) = of_both(seen, source, target)
    assert one.what == "1 of 2 pictures of split 'test' are nearly one of those that the source is learnt from"
    assert list(of_both(seen, data(folder, ("1.png", "train")), target)) == []


def test_what_was_seen_is_kept_under_the_content(folder, tmp_path, monkeypatch):
    paths = sorted(folder.glob("*.png"))
    first = sights.sights(paths, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(sights, "look_at", lambda *args: pytest.fail("looked at anew"))
    again = sights.sights(paths, cache_dir=tmp_path / "cache")
    assert (again.looks == first.looks).all()
    assert (again.reasons, again.plain, again.rescaled) == (first.reasons, first.plain, first.rescaled)
