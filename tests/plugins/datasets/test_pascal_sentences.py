from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from dckt_core.base.errors import DataError, UsageError
from dckt_core.data.manifest import ManifestError
from tests.support import box
from tests.support.folders import picture, write, write_pascal_sentences

SPEC = box.spec("dataset", "pascal-sentences")
load = partial(box.load_pairs, "pascal-sentences")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pascal_sentences(tmp_path / "set")


def test_reads_photos_with_five_sentences(folder: Path) -> None:
    assert SPEC.detect(folder)
    write(folder / "dataset/red/Thumbs.db", "no photo")
    write(folder / "dataset/red/._photo-red-0.jpg", "no photo")
    pair_set = load(folder)
    assert len(pair_set.pairs) == 20
    first = pair_set.pairs[0]
    assert (first.id, first.label) == ("dataset/blue/photo-blue-0.jpg", "blue")
    assert first.captions == tuple(f"blue, said {number} times." for number in range(5))
    assert first.text == " ".join(first.captions)


def test_splits_are_drawn_class_by_class(folder: Path) -> None:
    found = Counter((pair.label, pair.split) for pair in load(folder).pairs)
    assert found == {(c, s): n for c in ("red", "blue") for s, n in (("train", 8), ("val", 1), ("test", 1))}
    found = Counter(pair.split for pair in load(folder, val_fraction=0.3, test_fraction=0.2).pairs)
    assert found == {"train": 10, "val": 6, "test": 4}
    assert {pair.split for pair in load(folder, val_fraction=0, test_fraction=0).pairs} == {"train"}
    with pytest.raises(UsageError, match="leave less than half for training"):
        load(folder, val_fraction=0.3, test_fraction=0.3)


def test_detects_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    assert not SPEC.detect(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "text 'sentence/red/a.txt': no such file"),
        (b" \n\n", "text 'sentence/red/a.txt' is empty"),
        (b"caf\xe9", "text 'sentence/red/a.txt': not UTF-8: byte 4 is 0xe9"),
        (b"x" * ((1 << 20) + 1), "text 'sentence/red/a.txt': longer than 1048576 bytes"),
    ],
)
def test_a_bad_text_is_named_and_the_others_are_kept(folder: Path, content: bytes | None, said: str) -> None:
    picture(folder / "dataset/red/a.jpg", "red")
    if content is not None:
        (folder / "sentence/red/a.txt").write_bytes(content)
    error = box.refusal(load, folder)
    assert str(error) == f"{folder / 'dataset/red/a.jpg'}: {said}"
    assert len(error.good.pairs) == 20


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    picture(folder.parent / "secret.jpg", "red")
    (folder / "dataset/red/link.jpg").symlink_to(folder.parent / "secret.jpg")
    write(folder / "sentence/red/link.txt", "A secret.\n")
    with pytest.raises(ManifestError, match=r"image 'dataset/red/link\.jpg' leaves the folder through a symbolic link"):
        load(folder)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no pairs"):
        load(tmp_path)


def test_a_text_without_an_image_is_named(folder: Path) -> None:
    (folder / "dataset/red/photo-red-3.jpg").unlink()
    error = box.refusal(load, folder)
    assert str(error) == f"{folder / 'sentence/red/photo-red-3.txt'}: has no image in dataset/red"
    assert len(error.good.pairs) == 19
