"""Reading a manifest of a million lines: seconds, and what a pair takes in memory.

python benchmarks/manifest.py [--lines 1000000] [--words 12] [--rounds 3] [--no-pictures] [--folder FOLDER]

The manifest is made once, with a file for each picture, empty, in a hundred folders: lines of image, text, label and
split, texts of so many words. Each reading is a process of its own. Seconds are medians of processor time, beside
those that `json.loads` alone takes for the same lines. Memory is told twice: what the pairs hold when they are read, by
Python's own count (`tracemalloc`, in a reading that is not timed), and the highest that the process holds, beyond what
it held before.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import re
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dckt_core.data.manifest import load_manifest

WORDS = ("a", "the", "dog", "cat", "runs", "over", "green", "field", "with", "two", "people", "boat", "water", "sky")
FOLDERS = 100
Reading = Callable[[Path, bool], tuple[float, int]]


def make(folder: Path, lines: int, words: int) -> None:
    draw = random.Random(0)
    for number in range(FOLDERS):
        (folder / f"images/{number:02d}").mkdir(parents=True)
    with (folder / "pairs.jsonl").open("w", encoding="utf-8") as stream:
        for number in range(lines):
            image = f"images/{number % FOLDERS:02d}/{number:07d}.jpg"
            (folder / image).touch()
            text = " ".join(draw.choices(WORDS, k=words))
            row = {"image": image, "text": text, "label": f"class-{number % 50}", "split": "train"}
            stream.write(json.dumps(row) + "\n")


def held(field: str) -> int:
    """Bytes that the process holds, or has held at most."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def read(folder: Path, pictures: bool) -> tuple[float, int]:
    before, began = held("VmRSS"), time.process_time()
    pairs = load_manifest(folder, pictures=pictures).pairs
    seconds = time.process_time() - began
    assert pairs
    return seconds, held("VmHWM") - before


def parse(folder: Path, pictures: bool) -> tuple[float, int]:
    before, began = held("VmRSS"), time.process_time()
    with (folder / "pairs.jsonl").open("rb") as stream:
        for line in stream:
            json.loads(line)
    return time.process_time() - began, held("VmHWM") - before


def count(folder: Path, pictures: bool) -> tuple[float, int]:
    tracemalloc.start()
    pairs = load_manifest(folder, pictures=pictures).pairs
    gc.collect()
    return 0.0, tracemalloc.get_traced_memory()[0] // len(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Reading a large manifest: seconds, and memory.")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--words", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-pictures", action="store_true", help="no picture is looked for")
    parser.add_argument("--folder", type=Path, help="keeps the manifest there, and takes it from there")
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")

    def ask(what: Reading, folder: Path) -> tuple[float, int]:
        with ProcessPoolExecutor(1, context) as pool:
            return pool.submit(what, folder, not given.no_pictures).result()

    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "pairs.jsonl").exists():
            make(folder, given.lines, given.words)
        size = (folder / "pairs.jsonl").stat().st_size
        print(f"{given.lines:,} lines, {size / given.lines:.0f} bytes a line")
        rounds = [(ask(read, folder), ask(parse, folder)) for _ in range(given.rounds)]
        dckt, plain = (statistics.median(one[0] for one in column) for column in zip(*rounds, strict=True))
        peak = max(one[0][1] for one in rounds)
        each = ask(count, folder)[1]
        print(f"seconds: {dckt:.1f}, json.loads alone {plain:.1f}: {dckt / plain:.1f} times")
        print(f"memory: {each} bytes a pair are kept; at the peak {peak / given.lines:.0f} bytes a line")


if __name__ == "__main__":
    main()
