"""Features of frozen encoders: computed once, kept in the cache, checked when read back.

A cache file is named by a hash of the encoder's fingerprint and of what every item holds, so nothing in it can go
stale. It holds one tensor, `features` [n, dim] float32; a JSON file beside it says for people what it is. Files appear
whole or not at all, so processes that share a cache do no harm to each other: the last one to finish writes the file,
and each has its own features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from dckt_core.base.errors import DataError, DcktError, PluginError, describe
from dckt_core.base.memory import advising
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import ImageItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data.prepare import MAX_THREADS, Preparer
from dckt_core.io.files import content_digest
from dckt_core.io.json import write_json
from dckt_core.io.tensors import load_tensors, save_tensors

KIND, FORMAT = "file of features", 1
"""The format is part of every key; a change of the file's layout makes it a new one."""


def encode_items(
    encoder: Encoder,
    items: Sequence[Item],
    *,
    device: torch.device,
    batch: int,
    cache_dir: Path,
    progress: Progress = silent,
    log: Callable[[str], None] = logger.info,
) -> Tensor:
    """Features of items under a frozen encoder, from the cache where they are there and the encoder is `cached`.

    Args:
        batch: items that pass the module at once. It is no part of the key, and neither is the device: they change
            the last bits of a feature at most.
        cache_dir: the root of the cache; files lie in `features` in it. Where it cannot be written, the features
            are used all the same.

    Returns:
        [n, dim], float32, on the CPU.

    Raises:
        DataError: an item cannot be read, or its features are not finite; the message names it.
        PluginError: the encoder raised, or gave something of a wrong shape.
    """
    if not items:
        return torch.empty(0, encoder.dim)
    if not encoder.cached:
        return compute_features(encoder, items, device=device, batch=batch, progress=progress)
    what = _counted(items)
    key = cache_key(encoder, items)
    file = cache_dir / "features" / f"{key}.safetensors"
    try:
        features = read_features(file, (len(items), encoder.dim))
        log(f"features of {what} read from the cache ({file})")
        return features
    except FileNotFoundError:
        pass
    except DataError as error:
        log(f"{error}; the features of {what} are computed anew")
    features = compute_features(encoder, items, device=device, batch=batch, progress=progress)
    try:
        write_features(file, features, encoder)
        log(f"features of {what} computed and put into the cache ({file})")
    except OSError as error:
        log(f"features of {what} computed; the cache {cache_dir} cannot be written: {error.strerror or error}")
    return features


def compute_features(
    encoder: Encoder, items: Sequence[Item], *, device: torch.device, batch: int, progress: Progress = silent
) -> Tensor:
    """Features [n, dim] of items, float32, on the CPU; raises as `encode_items` does. No cache is touched."""
    what = f"encoding {_counted(items)}"
    features = torch.empty(len(items), encoder.dim)
    module = encoder.module.to(device).eval()
    preparer = Preparer(encoder, items)
    progress(0, len(items), what)
    try:
        advice = f"try a smaller encode_batch (now {batch}), such as {max(1, batch // 4)}"
        with torch.no_grad(), advising(lambda: f"while {what}", advice):
            for start, inputs in preparer.batches(items, batch):
                rows = forward(encoder, module, inputs.to(device)).cpu()
                check_finite(rows, items[start : start + len(rows)])
                features[start : start + len(rows)] = rows
                progress(start + len(rows), len(items), what)
    finally:
        preparer.close()
    return features


def cache_key(encoder: Encoder, items: Sequence[Item]) -> str:
    """Names the features of items under an encoder: 64 hexadecimal digits.

    Raises:
        DataError: an image file cannot be read.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, encoder.fingerprint, encoder.dim]).encode())
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for part in pool.map(_item_digest, items):
            digest.update(part)
    return digest.hexdigest()


def read_features(file: Path, shape: tuple[int, int]) -> Tensor:
    """Features [n, dim] from a cache file.

    Raises:
        FileNotFoundError: it is not there.
        DataError: it is broken, or of another shape.
    """
    if not file.exists():
        raise FileNotFoundError(file)
    features = load_tensors(file, kind=KIND, format=FORMAT)[0].get("features")
    if features is None or features.dtype != torch.float32 or features.shape != shape:
        raise DataError(f"{file}: not a whole {KIND}: it holds no features of shape {shape}")
    return features


def write_features(file: Path, features: Tensor, encoder: Encoder) -> None:
    """Writes a cache file and, for people, a JSON file beside it that says what it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    provenance = {"encoder": encoder.fingerprint, "shape": "x".join(str(size) for size in features.shape)}
    checksum = save_tensors(file, {"features": features}, provenance, kind=KIND, format=FORMAT)
    write_json(file.with_suffix(".json"), {**provenance, "sha256": checksum})


def _counted(items: Sequence[Item]) -> str:
    noun = "image" if items and isinstance(items[0], ImageItem) else "text"
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


def forward(encoder: Encoder, module: torch.nn.Module, inputs: Tensor) -> Tensor:
    """Feature rows [n, dim], float32, of inputs [n, ...]; raises PluginError where the module gives anything else."""
    try:
        rows = module(inputs)
    except DcktError:
        raise
    except Exception as error:
        raise PluginError(f"{encoder}: its module raised {describe(error)}") from error
    wanted = (len(inputs), encoder.dim)
    if not isinstance(rows, Tensor) or tuple(rows.shape) != wanted:
        found = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise PluginError(f"{encoder}: its module gave {found}, not {wanted}")
    if not rows.is_floating_point():
        raise PluginError(f"{encoder}: its module gave {rows.dtype}, not floating-point numbers")
    return rows.float()


def check_finite(rows: Tensor, items: Sequence[Item]) -> None:
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
