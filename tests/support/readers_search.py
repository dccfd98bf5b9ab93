"""The readers of extractions, of index folders and of files of queries, for the fuzzers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch

from dckt_core.io.seal import sealed
from dckt_core.retrieval import shards
from dckt_core.retrieval.gallery import _read_items
from dckt_core.retrieval.index_folder import Header, Made, read_header
from dckt_core.retrieval.queries import read_queries
from dckt_core.runs.seal import run_seal
from tests.support.seals import reseal

EXTRACTION = shards.Header(
    key="k",
    medium="text",
    dim=2,
    made_by={"weights_sha256": "0"},
    input=shards.Input("texts", "/", 1),
    shard_size=4,
    batch=2,
    device="cpu",
    on_error="fail",
    max_bad_fraction=0.0,
    environment={"cpus": 2},
    complete=True,
    count=1,
    shards=(shards.ShardFile("shard-00000.safetensors", 1),),
)
INDEX = Header(
    Made("0", "/run", "after"), 2, "exact", {"a": 1}, 0, {"image": 1, "text": 2}, "contents-1", ({"did": "x"},)
)
ITEMS = b'{"id": "a", "text": "b", "label": "c"}\n{"id": "d", "text": "e", "split": "test"}\n'
QUERIES = b'{"text": "a"}\n{"image": "b.png", "id": "c"}\n'

Read = Callable[[Path], object]


def header_of(file: str, read: Read) -> Read:
    """With the digest that a stranger would give it, so that what comes behind the digest is tried."""

    def reader(folder: Path) -> object:
        reseal(folder / file)
        return read(folder)

    return reader


def digests_of_a_run(folder: Path) -> None:
    """And a look at each of the files that they name."""
    reseal(folder / "digests.json")
    seal = run_seal(folder)
    for name in seal.files:
        seal.fault(name)


def seed(value: object) -> bytes:
    return json.dumps(sealed(json.loads(json.dumps(value)))).encode()


def readers_of_search(work: Path) -> dict[str, tuple[str, Read, list[bytes]]]:
    """File, reader and good files, by name."""
    shards.write_shard(work / "shard", "k", shards.Shard(["a", "b"], [(2, "too loud")]), torch.ones(2, 3))
    shard = (work / "shard").read_bytes()
    return {
        "extraction": ("extraction.json", header_of("extraction.json", shards.read_header), [seed(asdict(EXTRACTION))]),
        "shard": ("x.safetensors", lambda folder: shards.read_shard(folder / "x.safetensors", "k", 3), [shard]),
        "index": ("index.json", header_of("index.json", read_header), [seed(asdict(INDEX))]),
        "digests of a run": ("digests.json", digests_of_a_run, [seed({"format": 1, "files": {"a": "0", "b/c": "1"}})]),
        "items": ("items.jsonl", lambda folder: _read_items(folder / "items.jsonl", "text"), [ITEMS]),
        "queries": ("q.jsonl", lambda folder: read_queries(folder / "q.jsonl"), [QUERIES]),
        "queries, plain": ("q.txt", lambda folder: read_queries(folder / "q.txt"), [b"a dog\n\na cat\n"]),
    }
