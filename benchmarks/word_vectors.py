"""Reading the vectors of some words from a large file, dckt against gensim's own loader: seconds and memory.

python benchmarks/word_vectors.py [--words 400000] [--dim 300] [--wanted 5000] [--rounds 3] [--folder FOLDER]

The files are made once, word2vec's binary format and its text (480 MB and 1.0 GB by default), with draws of a normal
distribution. Each reading is a process of its own, and the two take turns; seconds are medians of processor time, the
file being in the system's cache. Memory is the highest that the process holds while it reads, beyond what it held
before. Both must find the same bits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from gensim.models import KeyedVectors

from dckt_plugins.encoders.vector_files import read_vectors

PART = 10_000
Answer = tuple[float, float, npt.NDArray[np.float32]]


def make(folder: Path, words: int, dim: int) -> dict[str, Path]:
    rng = np.random.default_rng(0)
    files = {"binary": folder / "vectors.bin", "text": folder / "vectors.txt"}
    with files["binary"].open("wb") as binary, files["text"].open("w") as text:
        binary.write(f"{words} {dim}\n".encode())
        text.write(f"{words} {dim}\n")
        for start in range(0, words, PART):
            rows = rng.normal(size=(min(PART, words - start), dim)).astype(np.float32)
            for number, row in enumerate(rows, start):
                binary.write(f"word{number} ".encode() + row.tobytes() + b"\n")
                text.write(f"word{number} {' '.join(f'{value:.5f}' for value in row.tolist())}\n")
    return files


def dckt(file: Path, binary: bool, wanted: list[str]) -> npt.NDArray[np.float32]:
    words, vectors = read_vectors(file, set(wanted))
    places = {word: place for place, word in enumerate(words)}
    rows: npt.NDArray[np.float32] = vectors.numpy()[[places[word] for word in wanted]]
    return rows


def gensim(file: Path, binary: bool, wanted: list[str]) -> npt.NDArray[np.float32]:
    rows: npt.NDArray[np.float32] = KeyedVectors.load_word2vec_format(str(file), binary=binary)[wanted]
    return rows


WAYS = {"dckt": dckt, "gensim": gensim}


def held(field: str) -> int:
    """Kilobytes of this process: VmRSS now, VmHWM at most since the last reset."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def read(way: str, file: Path, binary: bool, wanted: list[str], out: multiprocessing.Queue[Answer]) -> None:
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    began = time.process_time()
    rows = WAYS[way](file, binary, wanted)
    out.put((time.process_time() - began, (held("VmHWM") - before) / 1024, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--wanted", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files are made, and removed again")
    given = parser.parse_args()
    numbers = np.random.default_rng(1).choice(given.words, given.wanted, replace=False)
    wanted = [f"word{number}" for number in sorted(numbers.tolist())]
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for format, file in make(Path(folder), given.words, given.dim).items():
            answers: dict[str, list[Answer]] = {way: [] for way in WAYS}
            for _ in range(given.rounds):
                for way in WAYS:
                    queue = spawn.Queue()
                    process = spawn.Process(target=read, args=(way, file, format == "binary", wanted, queue))
                    process.start()
                    answers[way].append(queue.get())
                    process.join()
                assert np.array_equal(answers["dckt"][-1][2], answers["gensim"][-1][2]), "they read different things"
            for way, found in answers.items():
                seconds, memory = (statistics.median(answer[n] for answer in found) for n in (0, 1))
                spread = f"{min(answer[0] for answer in found):.2f} to {max(answer[0] for answer in found):.2f}"
                print(f"{format:7} {way:7} {seconds:8.2f} s ({spread}) {memory:8.0f} MB", flush=True)


if __name__ == "__main__":
    main()
