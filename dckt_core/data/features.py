"""Features of frozen encoders: computed once for each item, and kept in the cache.

What the cache gives is what would be computed, bit for bit on one machine, whatever it holds: kernels choose their
order of summation by the shape of a batch, so cached rows are always computed in blocks of one size, the last one
filled up. Then a row depends on nothing but its own item.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.allocator import memory_kept
from dckt_core.base.errors import DataError, DcktError, PluginError, describe
from dckt_core.base.memory import advising
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import ImageItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data.feature_cache import ROWS, FeatureCache
from dckt_core.data.inference import PLAIN, Inference, rows_of
from dckt_core.data.prepare import MAX_THREADS, Preparer
from dckt_core.io.files import content_digest


def encode_items(
    encoder: Encoder,
    items: Sequence[Item],
    *,
    device: torch.device,
    batch: int,
    cache_dir: Path,
    how: Inference = PLAIN,
    progress: Progress = silent,
    log: Callable[[str], None] = logger.info,
) -> Tensor:
    """Features of items under a frozen encoder, from the cache as far as they are there and the encoder is `cached`.

    Equal items are encoded once. What is computed is kept every `feature_cache.ROWS` rows, so whoever is stopped loses
    little.

    Args:
        batch: items that pass the module at once. The device is no part of the key, and neither is the number of
            threads: they change the last bits of a feature at most.
        cache_dir: the root of the cache; files lie in `features` in it. Where it cannot be written, the features
            are used all the same.
        how: the module computes; part of the key.

    Returns:
        [n, dim], float32, on the CPU.

    Raises:
        DataError: an item cannot be read, or its features are not finite; the message names it.
        PluginError: the encoder raised, or gave something of a wrong shape.
    """
    if not items:
        return torch.empty(0, encoder.dim)
    if not encoder.cached:
        return compute_features(encoder, items, device=device, batch=batch, how=how, progress=progress)
    digests = item_digests(items)
    item_of: dict[bytes, Item] = {}
    for digest, item in zip(digests, items, strict=True):
        item_of.setdefault(digest, item)
    place = {digest: row for row, digest in enumerate(item_of)}
    rows = torch.empty(len(place), encoder.dim)
    cache = FeatureCache(cache_dir, encoder, batch, log, how)
    found = cache.read(place, rows)
    new = [digest for digest in place if digest not in found]
    fault, kept, stop = "", 0, 0

    def keep() -> None:
        nonlocal fault, kept
        try:
            if not fault and stop > kept:
                cache.add(new[kept:stop], rows[[place[digest] for digest in new[kept:stop]]])
        except OSError as error:
            fault = f"; the cache {cache_dir} cannot be written: {error.strerror or error}"
        kept = stop

    try:
        blocks = _blocks(encoder, [item_of[digest] for digest in new], device, batch, how, progress, filled=True)
        for start, block in blocks:
            rows[[place[digest] for digest in new[start : start + len(block)]]] = block
            stop = start + len(block)
            if stop - kept >= ROWS:
                keep()
    finally:  # who is stopped, or meets a bad item, keeps what is done
        keep()
    there = sum(digest in found for digest in digests)
    _tell(log, _counted(items), there, len(items) - there, fault)
    logger.debug("they lie in %s", cache.folder)
    return rows[[place[digest] for digest in digests]] if len(place) < len(items) else rows


def compute_features(
    encoder: Encoder,
    items: Sequence[Item],
    *,
    device: torch.device,
    batch: int,
    how: Inference = PLAIN,
    progress: Progress = silent,
) -> Tensor:
    """Features [n, dim] of items, float32, on the CPU; raises as `encode_items` does. No cache is touched."""
    features = torch.empty(len(items), encoder.dim)
    for start, rows in _blocks(encoder, items, device, batch, how, progress, filled=False):
        features[start : start + len(rows)] = rows
    return features


def _blocks(
    encoder: Encoder,
    items: Sequence[Item],
    device: torch.device,
    batch: int,
    how: Inference,
    progress: Progress,
    *,
    filled: bool,
) -> Iterator[tuple[int, Tensor]]:
    """The first item's number and the features of each batch; with `filled` the last one passes as large as all."""
    if not items:
        return
    what = f"encoding {_counted(items)}"
    check_items(encoder, items)
    rows_from = rows_of(encoder, device, how)
    preparer = Preparer(encoder, items)
    progress(0, len(items), what)
    advice = f"try a smaller encode_batch (now {batch}), such as {max(1, batch // 4)}"
    try:
        with advising(lambda: f"while {what}", advice), memory_kept:
            for start, inputs in preparer.batches(items, batch):
                count = len(inputs)
                if filled and count < batch:
                    inputs = torch.cat([inputs, inputs[-1:].expand(batch - count, *inputs.shape[1:])])
                rows = rows_from(inputs.to(device))[:count].cpu()
                check_finite(rows, items[start : start + count])
                yield start, rows
                progress(start + count, len(items), what)
    finally:
        preparer.close()


def check_items(encoder: Encoder, items: Sequence[Item]) -> None:
    """Asks an encoder that can tell whether it knows all items; raises as its `prepare` would."""
    if encoder.check is None:
        return
    try:
        encoder.check(items)
    except DcktError:
        raise
    except Exception as error:
        raise PluginError(f"{encoder}: check raised {describe(error)}") from error


def _tell(log: Callable[[str], None], what: str, there: int, computed: int, fault: str) -> None:
    """How many of the items were in the cache, and how many are now."""
    done = "computed" if fault else "computed and put into the cache"
    if not computed:
        log(f"features of {what} read from the cache")
    elif not there:
        log(f"features of {what} {done}{fault}")
    else:
        log(f"features of {what}: {there} read from the cache, {computed} {done}{fault}")


def item_digests(items: Sequence[Item]) -> list[bytes]:
    """Names each item by what it holds: SHA-256, 32 bytes.

    Raises:
        DataError: an image file cannot be read.
    """
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        return list(pool.map(_item_digest, items))


def _counted(items: Sequence[Item]) -> str:
    noun = "image" if items and isinstance(items[0], ImageItem) else "text"
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


def check_finite(rows: Tensor, items: Sequence[Any]) -> None:
    """Raises DataError, with the first item's name, where a feature row [n, dim] is not finite."""
    finite = torch.isfinite(rows).all(dim=1)
    if not finite.all():
        item = items[int((~finite).nonzero()[0])]
        named = f"{item.path}" if isinstance(item, ImageItem) else f"text of pair '{item.id}'"
        raise DataError(f"{named}: its features are not finite numbers")


def _item_digest(item: Item) -> bytes:
    if not isinstance(item, ImageItem):
        return hashlib.sha256(b"text" + item.text.encode("utf-8", "surrogatepass")).digest()
    try:
        return content_digest(item.path)
    except OSError as error:
        raise DataError(f"{item.path}: cannot be read: {error.strerror or error}") from None
