"""mAP of all rankings: dckt against torchmetrics' RetrievalMAP and two loops that are copied a lot.

python benchmarks/evaluate.py [--threads 1] [--clock cpu] [--sizes 1000,2000,5000] [--large 0] [--ties]

N queries rank a gallery of N; 20 classes, representations of 20 values as class probabilities have them. Seconds are
processor time, of all threads, or with `--clock wall` what a user waits; the best of a few rounds in one process. All
must find the same mAP. `--large N` measures dckt alone, by both clocks, with its memory beyond the inputs. `--ties`
measures dckt alone on galleries of few different items, whose ties are scored by their expectation, and by instance.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist
from torch import Tensor

from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.instances import by_instance
from dckt_core.evaluation.ranking import rank

CLASSES = DIM = 20
LOOPS_UP_TO = 2000
"""Larger galleries take the nested loop hours."""


def problem(size: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    image, text = (2 * F.one_hot(labels, DIM) + torch.randn(size, DIM, generator=generator) for _ in range(2))
    return image.softmax(dim=1), text.softmax(dim=1), labels


def dckt(image: Tensor, text: Tensor, labels: Tensor) -> float:
    return float(rank(image, text, labels, labels).ap.mean())


def torchmetrics(image: Tensor, text: Tensor, labels: Tensor) -> float:
    from torchmetrics.retrieval import RetrievalMAP

    cosine = F.normalize(image.double()) @ F.normalize(text.double()).T
    metric = RetrievalMAP()
    metric.update(
        cosine.reshape(-1),
        (labels[:, None] == labels).reshape(-1),
        torch.arange(len(image)).repeat_interleave(len(text)),
    )
    return float(metric.compute())


def loop(image: Tensor, text: Tensor, labels: Tensor) -> float:
    """A Python loop down each ranking."""
    order = cdist(image.numpy(), text.numpy(), "cosine").argsort()
    classes, found = labels.numpy(), []
    for query in range(len(image)):
        hits, total = 0, 0.0
        for place in range(len(text)):
            if classes[order[query][place]] == classes[query]:
                hits += 1
                total += hits / (place + 1)
        found.append(total / hits)
    return float(np.mean(found))


def nested_loop(image: Tensor, text: Tensor, labels: Tensor) -> float:
    """A Python loop down each ranking that counts the hits anew at each of them."""
    order = cdist(image.numpy(), text.numpy(), "cosine").argsort()
    classes, found = labels.numpy(), []
    for query in range(len(image)):
        ranked = classes[order[query]]
        total = 0.0
        for cut in range(1, len(text) + 1):
            if ranked[cut - 1] != classes[query]:
                continue
            hits = 0
            for place in range(cut):
                if ranked[place] == classes[query]:
                    hits += 1
            total += hits / cut
        found.append(total / hits)
    return float(np.mean(found))


PEERS: dict[str, Callable[[Tensor, Tensor, Tensor], float]] = {
    "torchmetrics": torchmetrics,
    "loop": loop,
    "nested loop": nested_loop,
}


CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}


def best(
    way: Callable[[Tensor, Tensor, Tensor], float],
    given: tuple[Tensor, Tensor, Tensor],
    rounds: int,
    clock: Callable[[], float],
) -> float:
    seconds = []
    for _ in range(rounds):
        began = clock()
        way(*given)
        seconds.append(clock() - began)
    return min(seconds)


def compare(size: int, clock: Callable[[], float]) -> None:
    given = problem(size)
    expected, own = dckt(*given), best(dckt, given, 10, clock)
    print(f"{size:6} x {size:<6} dckt {own:9.3f} s  mAP {expected:.6f}", flush=True)
    for name, peer in PEERS.items():
        if name == "nested loop" and size > LOOPS_UP_TO:
            continue
        found = peer(*given)
        assert abs(found - expected) < 1e-6, f"{name} finds {found}"
        seconds = best(peer, given, 1 if "loop" in name else 2, clock)
        print(f"{name:>20} {seconds:9.3f} s  {seconds / own:7.1f} x dckt's", flush=True)


def tied(size: int, clock: Callable[[], float]) -> None:
    """Galleries in which a tenth of the items are copies, all are copies of 200, or of one."""
    image, text, labels = problem(size)
    pairs = torch.arange(size)
    sources = {
        "no ties": pairs,
        "a tenth copied": torch.cat([pairs[size // 10 :], pairs[: size // 10] + size // 2]),
        "200 different": pairs % 200,
        "constant": torch.zeros_like(pairs),
    }
    own = best(dckt, (image, text, labels), 5, clock)
    for name, rows in sources.items():
        seconds = best(dckt, (image, text[rows], labels), 5, clock)
        print(f"{size:6} x {size:<6} {name:>16} {seconds:9.3f} s  {seconds / own:5.2f} x that without ties", flush=True)

    def instances(image: Tensor, text: Tensor, labels: Tensor) -> float:
        return float(by_instance(Representation(image, text), pairs, pairs)["image_to_text"].standings.rank().mean())

    seconds = best(instances, (image, text, labels), 5, clock) / 2  # of both directions
    print(
        f"{size:6} x {size:<6} {'by instance':>16} {seconds:9.3f} s  {seconds / own:5.2f} x that of the mAP", flush=True
    )


def held(field: str) -> float:
    """Megabytes of this process: VmRSS now, VmHWM at most since the last reset."""
    found = re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def alone(size: int) -> None:
    given = problem(size)
    dckt(*(part[:1000] for part in given))
    ctypes.CDLL(None).malloc_trim(0)  # so that what was freed counts as free
    before = held("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts anew
    clock, processor = time.perf_counter(), time.process_time()
    found = dckt(*given)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(f"{size} x {size}: {clock:.0f} s by the clock, {processor:.0f} s of processor time, mAP {found:.6f}")
    print(
        f"{held('VmHWM') - before:.0f} MB beyond the inputs; all cosines at once would be {size * size / 2**17:.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=tuple(CLOCKS), default="cpu")
    parser.add_argument("--sizes", default="1000,2000,5000")
    parser.add_argument("--large", type=int, default=0)
    parser.add_argument("--ties", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.large:
        alone(given.large)
    else:
        for size in given.sizes.split(","):
            (tied if given.ties else compare)(int(size), CLOCKS[given.clock])


if __name__ == "__main__":
    main()
