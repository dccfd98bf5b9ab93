from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from dckt_core.contract.pairs import Pair
from dckt_core.data.contents import contents_of


def pair(number: int, image: Path, text: str = "") -> Pair:
    return Pair(f"pair {number}", image, text or f"text {number}", "a", "test")


def write(folder: Path, **files: bytes) -> dict[str, Path]:
    paths = {name: folder / name for name in files}
    for name, content in files.items():
        paths[name].write_bytes(content)
    return paths


def test_pictures_are_the_same_by_path_and_by_content(tmp_path: Path) -> None:
    files = write(tmp_path, one=b"abc", copy=b"abc", other=b"abd", longer=b"abcd")
    names = ["one", "other", "copy", "longer", "one"]
    found = contents_of([pair(number, files[name]) for number, name in enumerate(names)])
    assert found.pictures.tolist() == [0, 1, 0, 2, 0]
    assert found.texts.tolist() == [0, 1, 2, 3, 4]


def test_texts_are_the_same_but_for_white_space_and_ways_of_writing(tmp_path: Path) -> None:
    texts = ["Ein Löwe ", "Ein  Lo\u0308we", "ein Löwe", "Ein Löwe", "..."]
    found = contents_of([pair(number, tmp_path / str(number), text) for number, text in enumerate(texts)])
    assert found.texts.tolist() == [0, 0, 1, 0, 2]


def test_files_that_cannot_be_looked_at_are_their_paths(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("gone", "lost", "gone")]
    assert contents_of([pair(number, file) for number, file in enumerate(files)]).pictures.tolist() == [0, 1, 0]
    assert contents_of([]).pictures.shape == (0,)


def test_only_files_of_equal_size_are_read_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def spy(stream: Any, name: str) -> Any:
        read.append(Path(stream.name).name)
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", spy)
    files = write(tmp_path, one=b"abc", other=b"abd", longer=b"abcd")
    pairs = [pair(number, file) for number, file in enumerate(files.values())]
    assert contents_of(pairs).pictures.tolist() == [0, 1, 2]
    assert read == ["one", "other"]
    contents_of(pairs)
    assert read == ["one", "other"]
    files["other"].write_bytes(b"abc")
    os.utime(files["other"], ns=(1, 1))
    assert contents_of(pairs).pictures.tolist() == [0, 0, 1], "a file that was changed is read again"
