"""Writing whole files: what stands where they go, and what they may hold."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from dckt_core.base.errors import StorageError, UsageError
from dckt_core.io.files import held, hold, is_endless, is_held, write_text


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "there" / "file")
    for text in ("first", "second"):
        write_text(link, text)
        assert link.is_symlink()
        assert (tmp_path / "there" / "file").read_text() == text
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["file"]


def test_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, said in (("pipe", "it is no regular file"), ("folder", "it is a folder")):
        with pytest.raises(StorageError, match=f"{name}: cannot be written: {said}"):
            write_text(tmp_path / name, "text")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_null_device_is_not_replaced() -> None:
    with pytest.raises(StorageError, match="it is no regular file"):
        write_text(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()


def test_half_a_character_is_escaped_as_json_has_it(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    write_text(tmp_path / "file", json.dumps({"file": name}, ensure_ascii=False))
    assert json.loads((tmp_path / "file").read_text("utf-8")) == {"file": name}


def test_what_never_ends(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert is_endless(tmp_path / "pipe")
    assert is_endless(Path(os.devnull))
    assert not any(map(is_endless, (tmp_path, tmp_path / "file", tmp_path / "nothing")))


def test_a_folder_is_held_by_one_at_a_time_and_moves_with_its_lock(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not is_held(tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == [], "looking leaves nothing"
    holding = hold(tmp_path / "a", "busy")
    holding.rename(tmp_path / "b")
    assert is_held(tmp_path / "b")
    with pytest.raises(UsageError, match="b: busy"):
        hold(tmp_path / "b", "busy")
    holding.release()
    holding.release()
    assert not is_held(tmp_path / "b")
    with held(tmp_path / "b", "busy"):
        assert is_held(tmp_path / "b")


def test_a_folder_that_is_gone_is_not_made_by_holding_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="gone: cannot be written: no such folder"):
        hold(tmp_path / "gone", "busy")
    assert not is_held(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []
