"""Throughput of `dckt extract` against torch's DataLoader, and against the bare forward pass on inputs that lie ready.

python benchmarks/extract.py [--encoder torchvision] [--option model=efficientnet_b0 ...] [--images 256] [--batch 64]

Pictures are JPEG files of 640 x 480 pixels. What is measured of extract is everything: decoding and resizing, the
forward pass, checksums and files. `loader` is the usual way, such as clip-retrieval's: a DataLoader with as many worker
processes as threads prepares the pictures for the same module, which is called in batches, its weights laid out as
torch does it and memory handed back to the system. Rounds alternate; images a second are medians by the clock.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dckt_core.base.allocator import memory_kept
from dckt_core.contract.options import split_assignments
from dckt_core.contract.protocols import Encoder
from dckt_core.data.context import Context
from dckt_core.data.inference import Inference
from dckt_core.data.prepare import prepare
from dckt_core.retrieval.extract import extract
from dckt_core.retrieval.extractor import by_encoder
from dckt_core.retrieval.listing import list_items


def write_pictures(folder: Path, count: int) -> None:
    """Smooth colours with some noise, so that files are as large as photos are."""
    generator = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        picture = np.asarray(coarse.resize((640, 480), Image.Resampling.BICUBIC), dtype=np.int16)
        noisy = picture + generator.integers(-12, 13, picture.shape, dtype=np.int16)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05}.jpg", quality=90)


class Pictures(Dataset[Tensor]):
    """Module inputs of pictures, one by one, as a DataLoader asks for them."""

    def __init__(self, encoder: Encoder, items: Sequence[Any]) -> None:
        self._encoder, self._items = encoder, items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: int) -> Tensor:
        return prepare(self._encoder, [self._items[number]])[0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--encoder", default="torchvision")
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device("cpu")
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "pictures").mkdir()
        write_pictures(home / "pictures", given.images)
        context = Context(cache_dir=home)
        options = split_assignments(given.option or ["weights=none"], option="--option")
        usual = by_encoder(given.encoder, options, context, "image", device=device).encoder  # laid out as it was before
        usual.module.to(memory_format=torch.contiguous_format)
        how = Inference(given.precision, given.compile)
        extractor = by_encoder(given.encoder, options, context, "image", device=device, how=how)
        listing = list_items(str(home / "pictures"), "image", context)
        items = [entry.item for entry in listing.entries]
        inputs = prepare(extractor.encoder, items).split(given.batch)
        loader = DataLoader(Pictures(usual, items), given.batch, num_workers=given.threads)
        rates: dict[str, list[float]] = {"forward": [], "loader": [], "extract": [], "decode": []}
        for number in range(given.rounds + 1):
            began = time.perf_counter()
            with memory_kept:
                for batch in inputs:
                    extractor.rows(batch)
            rates["forward"].append(given.images / (time.perf_counter() - began))
            began = time.perf_counter()
            with torch.no_grad():
                np.save(home / "loader.npy", torch.cat([usual.module(batch) for batch in loader]).numpy())
            rates["loader"].append(given.images / (time.perf_counter() - began))
            began = time.perf_counter()
            extract(extractor, listing, home / f"out-{number}", batch=given.batch)
            rates["extract"].append(given.images / (time.perf_counter() - began))
            began = time.perf_counter()
            prepare(extractor.encoder, items[: given.batch])
            rates["decode"].append(given.batch / (time.perf_counter() - began))
    medians = {way: statistics.median(measured[1:]) for way, measured in rates.items()}  # the first round warms up
    print(f"{given.encoder} {options}, {given.images} pictures, batches of {given.batch}, {given.threads} threads")
    for way, rate in medians.items():
        print(f"{way:8} {rate:8.1f} images/s  {rate / medians['forward']:6.3f} of the forward pass")
    for peer in ("forward", "loader"):
        ratios = sorted(one / other for one, other in zip(rates["extract"][1:], rates[peer][1:], strict=True))
        print(f"extract / {peer}, round by round: {', '.join(f'{ratio:.3f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
