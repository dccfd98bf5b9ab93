"""Bytes that this user made, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dckt_core.data.own import KEY, made_here, own_tag
from tests.support.processes import together


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_made_here_is_known_again(cache: Path) -> None:
    tag = own_tag("a graph", b"bytes")
    assert len(tag) == 64
    assert made_here(tag, "a graph", b"bytes")
    for what, content in (("a grap", b"hbytes"), ("a graph", b"bytez"), ("another", b"bytes")):
        assert not made_here(tag, what, content)
    for other in ("", None, "0" * 64, 3, tag.upper()):
        assert not made_here(other, "a graph", b"bytes")
    assert (cache / KEY).stat().st_mode & 0o077 == 0, "nobody else reads the key"


def test_another_key_knows_nothing(cache: Path) -> None:
    tag = own_tag("a graph", b"bytes")
    (cache / KEY).unlink()
    assert not made_here(tag, "a graph", b"bytes")
    (cache / KEY).write_bytes(b"short")
    assert made_here(own_tag("a graph", b"bytes"), "a graph", b"bytes")


def test_where_no_key_can_be_kept_nothing_is_ones_own(cache: Path) -> None:
    cache.parent.joinpath("cache").write_text("a file is in the way")
    assert own_tag("a graph", b"bytes") == ""
    assert not made_here("", "a graph", b"bytes")


def test_trust_is_said(cache: Path) -> None:
    assert made_here("", "a graph", b"bytes", environ={"DCKT_TRUST_INDEXES": "1"})
    assert not made_here("", "a graph", b"bytes", environ={"DCKT_TRUST_INDEXES": "no"})


def test_processes_that_begin_at_once_have_one_key(cache: Path, tmp_path: Path) -> None:
    def work(number: int) -> int:
        (tmp_path / f"{number}").write_text(own_tag("x", b""))
        return 0

    assert together([lambda n=n: work(n) for n in range(6)]) == [0] * 6  # type: ignore[misc]
    assert len({(tmp_path / f"{n}").read_text() for n in range(6)}) == 1
    assert [file.name for file in cache.iterdir()] == [KEY]
    assert os.fspath(cache)
