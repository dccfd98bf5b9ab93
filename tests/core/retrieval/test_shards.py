"""Finished extractions that were harmed, or that a stranger wrote: refused by name, and nothing is executed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_core.base.errors import DataError
from dckt_core.io.json import write_sealed
from dckt_core.io.seal import digests
from dckt_core.io.tensors import save_tensors
from dckt_core.retrieval.shards import (
    SHARD,
    SHARD_FORMAT,
    Extraction,
    Header,
    Input,
    Shard,
    ShardFile,
    open_extraction,
    write_shard,
)

ROWS = torch.arange(6.0).reshape(3, 2)
HEADER = Header(
    key="k",
    medium="text",
    dim=2,
    made_by={},
    input=Input("texts", "/", 3),
    shard_size=4,
    batch=2,
    device="cpu",
    on_error="fail",
    max_bad_fraction=0.0,
    environment={},
    complete=True,
    count=3,
    shards=(ShardFile("shard-00000.safetensors", 3),),
)


def stored(folder: Path, **changes: Any) -> Path:
    write_shard(folder / "shard-00000.safetensors", "k", Shard(["a", "b", "c"], [(1, "too loud")]), ROWS)
    (folder / "items.jsonl").write_text("".join(json.dumps({"id": name}) + "\n" for name in "abc"))
    return sealed(folder, **changes)


def sealed(folder: Path, **changes: Any) -> Path:
    """With the digests of its files as they are now, as a stranger can make them, too."""
    files = digests(folder, [folder / "shard-00000.safetensors", folder / "items.jsonl"])
    write_sealed(folder / "extraction.json", asdict(HEADER) | {"files": files} | changes)
    return folder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = open_extraction(stored(tmp_path))
    ids, rows = found.load()
    assert ids == ["a", "b", "c"]
    assert torch.equal(rows, ROWS)
    assert [item["id"] for item in found.items()] == ids


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "format 2, and this dckt reads 1"),
        ({"complete": False}, "not a finished extraction; the same dckt extract once more goes on with it"),
        ({"complete": "yes"}, "not the header of an extraction"),
        ({"shards": [{"file": "../elsewhere.safetensors", "count": 1}]}, "its shards are no files of the folder"),
        ({"shards": [{}]}, "not the header of an extraction: shards.0.file: missing"),
        ({"medium": "sound"}, "not the header of an extraction"),
        ({"input": {}}, "not the header of an extraction"),
        ({"dim": None}, "not the header of an extraction"),
    ],
)
def test_a_header_that_is_none(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_extraction(stored(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff"])
def test_a_header_that_is_no_json_object(tmp_path: Path, content: bytes) -> None:
    stored(tmp_path)
    (tmp_path / "extraction.json").write_bytes(content)
    with pytest.raises(DataError, match="extraction.json: not the header of an extraction"):
        open_extraction(tmp_path)


def test_no_extraction(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no extraction"):
        open_extraction(tmp_path)


def rewrite(file: Path, *, features: Any = ROWS, **changes: Any) -> None:
    facts = {"key": "k", "ids": ["a", "b", "c"], "dropped": []} | changes
    save_tensors(file, {"features": features}, facts, kind=SHARD, format=SHARD_FORMAT)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "another"}, "of another extraction"),
        ({"ids": 1}, "not a whole shard"),
        ({"ids": ["a"]}, r"it holds \[3, 2\], not \[1, 2\]"),
        ({"features": ROWS.double()}, "it holds"),
    ],
)
def test_a_shard_that_was_tampered_with(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    stored(tmp_path)
    rewrite(tmp_path / "shard-00000.safetensors", **changes)
    found = open_extraction(sealed(tmp_path))
    with pytest.raises(DataError, match=f"shard-00000.safetensors: {said}"):
        found.load()


def test_a_row_that_was_altered_is_noticed(tmp_path: Path) -> None:
    found = open_extraction(stored(tmp_path))
    file = tmp_path / "shard-00000.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(DataError, match=r"shard-00000.safetensors: altered since it was written: .* makes it anew"):
        found.load()
    found = open_extraction(sealed(tmp_path))
    with pytest.raises(DataError, match=r"shard-00000.safetensors: not a whole shard: its checksum does not fit"):
        found.load()


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    found = open_extraction(stored(tmp_path))
    (tmp_path / "shard-00000.safetensors").unlink()
    with pytest.raises(DataError, match="shard-00000.safetensors: no such file"):
        found.load()


def test_counts_that_do_not_fit(tmp_path: Path) -> None:
    for count in (2, 4):
        with pytest.raises(DataError, match=f"it holds 3 rows, not the {count} that"):
            open_extraction(stored(tmp_path, count=count)).load()


@pytest.mark.parametrize("content", ["{", "[]\n"])
def test_items_that_are_none(tmp_path: Path, content: str) -> None:
    stored(tmp_path)
    (tmp_path / "items.jsonl").write_text(content)
    found: Extraction = open_extraction(sealed(tmp_path))
    with pytest.raises(DataError, match="items.jsonl:1: not an item: (not JSON|no JSON object)"):
        list(found.items())
