"""The readers of extractions, of index folders and of files of queries, for the fuzzers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dckt_core.contract.protocols import IndexContext
from dckt_core.io.seal import sealed
from dckt_core.io.tensors import load_tensors, save_tensors
from dckt_core.retrieval import shards
from dckt_core.retrieval.gallery import _read_items
from dckt_core.retrieval.index_folder import Header, Made, read_header
from dckt_core.retrieval.queries import read_queries
from dckt_core.runs.seal import run_seal
from tests.support import box
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
NATIVE = tuple(name for name in ("usearch", "faiss") if find_spec(name) is not None)
"""Libraries in machine code whose files indexes hold, as far as they are installed."""


def header_of(file: str, read: Read) -> Read:
    """With the digest that a stranger would give it, so that what comes behind the digest is tried."""

    def reader(folder: Path) -> object:
        reseal(folder / file)
        return read(folder)

    return reader


def _of_library(name: str, work: Path) -> tuple[str, Read, list[bytes]]:
    """What a library wrote, spoilt, in a file with digests as they should be: what is read of it finds the nearest."""
    from dckt_plugins.indexes.approximate import FORMAT, KIND, STRUCTURE

    spec = box.spec("index", name)
    vectors = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
    folder = work / name

    def made() -> Any:
        return spec.build(spec.options(), IndexContext(dim=4, seed=0))

    index = made()
    index.add([str(number) for number in range(30)], vectors)
    index.save(folder)
    tensors, facts = load_tensors(folder / STRUCTURE, kind=KIND, format=FORMAT)
    good = tensors["bytes"].numpy().tobytes()

    def read(place: Path) -> None:
        content = torch.from_numpy(np.frombuffer((place / f"{name}.bin").read_bytes() or b"\0", np.uint8).copy())
        save_tensors(folder / STRUCTURE, {"bytes": content}, facts, kind=KIND, format=FORMAT)
        loaded = made()
        loaded.load(folder)
        assert loaded.search(vectors[:2], 1)[0] == [["0"], ["1"]]

    return f"{name}.bin", read, [good]


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
    native = {f"index of {name}": _of_library(name, work) for name in NATIVE}
    return native | {
        "extraction": ("extraction.json", header_of("extraction.json", shards.read_header), [seed(asdict(EXTRACTION))]),
        "shard": ("x.safetensors", lambda folder: shards.read_shard(folder / "x.safetensors", "k", 3), [shard]),
        "index": ("index.json", header_of("index.json", read_header), [seed(asdict(INDEX))]),
        "digests of a run": ("digests.json", digests_of_a_run, [seed({"format": 1, "files": {"a": "0", "b/c": "1"}})]),
        "items": ("items.jsonl", lambda folder: _read_items(folder / "items.jsonl", "text"), [ITEMS]),
        "queries": ("q.jsonl", lambda folder: read_queries(folder / "q.jsonl"), [QUERIES]),
        "queries, plain": ("q.txt", lambda folder: read_queries(folder / "q.txt"), [b"a dog\n\na cat\n"]),
    }
