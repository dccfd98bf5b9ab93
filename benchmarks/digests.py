"""What looking at digests costs: gigabytes a second of several, and their share of loading an index.

    python benchmarks/digests.py [--rows 100000] [--dim 256]

Each figure is the best of some repetitions, on one thread, with files in the system's cache: the worst case for
digests, since nothing waits for a disk. The share is that of the seconds that digests take themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import xxhash

from dckt_core.contract.discovery import load_registry
from dckt_core.contract.protocols import IndexContext
from dckt_core.io import seal, tensors
from dckt_core.retrieval import index_folder
from dckt_core.retrieval.gallery import new_gallery
from dckt_core.retrieval.index_folder import Header, Made

ALGORITHMS: dict[str, Callable[[memoryview], object]] = {
    "xxh3-128": lambda content: xxhash.xxh3_128(content).digest(),
    "crc32 (zlib)": zlib.crc32,
    "sha256": lambda content: hashlib.sha256(content).digest(),
    "blake2b": lambda content: hashlib.blake2b(content).digest(),
}


REPETITIONS = 5


def timed(work: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """The same, with the seconds that it takes noted."""

    def working(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*arguments)
        finally:
            spent.append(time.perf_counter() - began)

    return working


def best(work: Callable[[], object], times: int = REPETITIONS) -> float:
    """Seconds."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    said = parser.parse_args()
    torch.set_num_threads(1)
    rows = torch.randn(said.rows, said.dim, generator=torch.Generator().manual_seed(0))
    content = rows.numpy().reshape(-1).view("uint8").data
    speeds = {
        name: round(len(content) / 1e9 / best(lambda work=work: work(content)), 2)  # type: ignore[misc]
        for name, work in ALGORITHMS.items()
    }

    registry = load_registry(plugins=False)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder)
        gallery = new_gallery("text", "exact", {}, IndexContext(dim=said.dim, seed=0), registry)
        gallery.add([{"id": str(number), "text": f"text {number}"} for number in range(said.rows)], rows)
        header = Header(Made("0", "/run", "result"), said.dim, "exact", {}, 0, {})
        index_folder.write(index, header, {"text": gallery}, {"did": "build"}, {})

        def load() -> None:
            index_folder.read_galleries(index, index_folder.read_header(index), registry)

        spent: list[float] = []
        with patch.object(seal, "_digest", timed(seal._digest.__wrapped__, spent)):
            with_file_digests = patch.object(tensors, "_checksum", timed(tensors._checksum, spent))
            with with_file_digests:
                began = time.perf_counter()
                for _ in range(REPETITIONS):
                    load()
                whole = time.perf_counter() - began
    told = {
        "gigabytes_per_second": speeds,
        "megabytes": round(len(content) / 1e6, 1),
        "index_load_ms": round(1000 * whole / REPETITIONS, 1),
        "digests_ms": round(1000 * sum(spent) / REPETITIONS, 1),
        "share_of_loading": round(sum(spent) / whole, 4),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
