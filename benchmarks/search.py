"""Exact search of many vectors, dckt against faiss flat and one matrix product: seconds, and memory beyond the vectors.

python benchmarks/search.py [--vectors 1000000] [--dim 128] [--threads 1]

Rounds alternate between the three in one process; seconds are medians of processor time, of all threads. Memory is the
highest that a process of its own holds while it searches, beyond what it held before. All must find the same.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import faiss
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_plugins.indexes.exact import ExactIndex

K = 10
PART = 65536
Search = Callable[[Tensor], list[list[str]]]


def parts(count: int, dim: int) -> Iterator[tuple[int, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    for start in range(0, count, PART):
        yield start, torch.randn(min(PART, count - start), dim, generator=generator)


def dckt(count: int, dim: int) -> Search:
    index = ExactIndex(dim)
    for start, rows in parts(count, dim):
        index.add([str(start + row) for row in range(len(rows))], rows)
    return lambda queries: index.search(queries, K)[0]


def faiss_flat(count: int, dim: int) -> Search:
    index = faiss.IndexFlatIP(dim)
    for _, rows in parts(count, dim):
        index.add(F.normalize(rows).numpy())
    return lambda queries: [[str(row) for row in found] for found in index.search(queries.numpy(), K)[1].tolist()]


def product(count: int, dim: int) -> Search:
    vectors = torch.cat([F.normalize(rows) for _, rows in parts(count, dim)])
    return lambda queries: [[str(row) for row in found] for found in (queries @ vectors.T).topk(K).indices.tolist()]


WAYS = {"dckt": dckt, "faiss": faiss_flat, "product": product}


def questions(count: int, dim: int) -> Tensor:
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(1)))


def held(field: str) -> int:
    """Kilobytes of this process: VmRSS now, VmHWM at most since the last reset."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def memory(way: str, vectors: int, dim: int, queries: int, threads: int, out: multiprocessing.Queue[float]) -> None:
    set_threads(threads)
    search = WAYS[way](vectors, dim)
    asked = questions(queries, dim)
    search(asked[:1])  # what is made at the first search belongs to the index
    ctypes.CDLL(None).malloc_trim(0)  # so that what was freed counts as free
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    search(asked)
    out.put((held("VmHWM") - before) / 1024)


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    faiss.omp_set_num_threads(threads)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    sizes = (1, 64, 512)
    spawn = multiprocessing.get_context("spawn")
    peaks = {}
    for queries in sizes:
        for way in WAYS:
            queue = spawn.Queue()
            arguments = (way, given.vectors, given.dim, queries, given.threads, queue)
            process = spawn.Process(target=memory, args=arguments)
            process.start()
            peaks[way, queries] = queue.get()
            process.join()

    set_threads(given.threads)
    searches = {way: make(given.vectors, given.dim) for way, make in WAYS.items()}
    print(f"{given.vectors} vectors of {given.dim}, the {K} nearest, {given.threads} threads, {given.rounds} rounds")
    for queries in sizes:
        asked = questions(queries, given.dim)
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds + 1):
            answers = {}
            for way, search in searches.items():
                began = time.process_time()
                answers[way] = search(asked)
                seconds[way].append(time.process_time() - began)
            assert answers["dckt"] == answers["faiss"] == answers["product"], "they find different things"
        medians = {way: statistics.median(times[1:]) for way, times in seconds.items()}  # the first round warms up
        for way, median in medians.items():
            speed, peak = medians["faiss"] / median, peaks[way, queries]
            print(f"{queries:4} queries {way:8} {median:8.3f} s {speed:6.2f} x faiss's speed {peak:8.0f} MB")


if __name__ == "__main__":
    main()
