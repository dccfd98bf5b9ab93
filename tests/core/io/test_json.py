"""JSON from anywhere: read as what it should be, or refused in one line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from dckt_core.base.errors import DataError
from dckt_core.io.json import read_json, read_lines, read_record, write_json, write_lines


@dataclass(frozen=True)
class Described:
    format: int
    classes: tuple[str, ...]


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "file.json: not a summary: not JSON: Expecting value at column 1"),
        (b'{\n "a": }', "file.json: not a summary: not JSON: Expecting value at line 2, column 7"),
        (b"[]", "file.json: not a summary: no JSON object"),
        (b"\xff", "file.json: not a summary: 'utf-8' codec can't decode byte 0xff"),
        (DEEP, "file.json: not a summary: not JSON: nested too deeply"),
        (b"{}", "file.json: not a summary: it names no format"),
        (b'{"format": "1"}', "file.json: not a summary: it names no format"),
        (b'{"format": 7}', "file.json: format 7, and this dckt reads 1"),
    ],
)
def test_what_is_none_is_named_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_json(tmp_path / "file.json", "a summary", format=1)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("gone", "gone: no such file"), ("pipe", "pipe: no file"), (".", "cannot be read: Is a")):
        with pytest.raises(DataError, match=said):
            read_json(tmp_path / name, "a summary")
        with pytest.raises(DataError, match=said):
            list(read_lines(tmp_path / name, "a line"))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    value = {"format": 1, "classes": ["犬", "half \udcff"]}
    write_json(tmp_path / "file.json", value)
    assert read_json(tmp_path / "file.json", "a summary", format=1) == value
    assert read_record(tmp_path / "file.json", "it", Described, format=1) == Described(1, ("犬", "half \udcff"))


def test_a_field_that_is_wrong_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"format": 1, "classes": ["a", 3]})
    with pytest.raises(DataError, match=r"file\.json: not it: classes\.1: takes text"):
        read_record(tmp_path / "file.json", "it", Described, format=1)


def test_lines(tmp_path: Path) -> None:
    rows = [{"text": "a\u2028b\nc"}, {}, {"name": "\udcff"}]
    write_lines(tmp_path / "rows.jsonl", rows)
    assert (tmp_path / "rows.jsonl").read_bytes().count(b"\n") == 3
    assert list(read_lines(tmp_path / "rows.jsonl", "a row")) == rows


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b"", DEEP])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"{}\n" + line + b"\n{}\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2: not a row: "):
        list(read_lines(tmp_path / "rows.jsonl", "a row"))
