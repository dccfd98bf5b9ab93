"""The readers of extractions, of index folders and of files of queries, for the fuzzers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from dckt_core.retrieval.gallery import _read_items
from dckt_core.retrieval.queries import read_queries
from dckt_core.retrieval.shards import read_header as read_extraction
from dckt_core.retrieval.shards import read_shard, write_shard
from dckt_core.retrieval.store import Header, Made, read_header

EXTRACTION = {
    "format": 1,
    "complete": True,
    "key": "k",
    "medium": "text",
    "dim": 2,
    "count": 1,
    "made_by": {"weights_sha256": "0"},
    "input": {"root": "/"},
    "shards": [{"file": "shard-00000.safetensors", "count": 1}],
}
INDEX = Header(
    Made("0", "/run", "after"), 2, "exact", {"a": 1}, 0, {"image": 1, "text": 2}, "contents-1", ({"did": "x"},)
)
ITEMS = b'{"id": "a", "text": "b", "label": "c"}\n{"id": "d", "text": "e", "split": "test"}\n'
QUERIES = b'{"text": "a"}\n{"image": "b.png", "id": "c"}\n'

Read = Callable[[Path], object]


def readers_of_search(work: Path) -> dict[str, tuple[str, Read, list[bytes]]]:
    """File, reader and good files, by name."""
    write_shard(work / "shard", "k", ["a", "b"], torch.ones(2, 3), [(2, "too loud")])
    shard = (work / "shard").read_bytes()
    return {
        "extraction": ("extraction.json", read_extraction, [json.dumps(EXTRACTION).encode()]),
        "shard": ("x.safetensors", lambda folder: read_shard(folder / "x.safetensors", "k"), [shard]),
        "index": ("index.json", read_header, [json.dumps(asdict(INDEX)).encode()]),
        "items": ("items.jsonl", lambda folder: _read_items(folder / "items.jsonl", "text"), [ITEMS]),
        "queries": ("q.jsonl", lambda folder: read_queries(folder / "q.jsonl"), [QUERIES]),
        "queries, plain": ("q.txt", lambda folder: read_queries(folder / "q.txt"), [b"a dog\n\na cat\n"]),
    }
