"""Rows of features on disk, each by what its item holds, so that another draw of the same items is not encoded again.

Every encoder has a folder of its own, named by a hash of its fingerprint, and in it segments: files that are written
once, whole or not at all. A segment holds `features` [n, dim] float32 and `items` [n, 32] uint8, the SHA-256 of what
each item holds. What is new is written as a further segment, so costs grow with the work alone; when there are many
small ones they are merged. Nothing in a segment can go stale.

Processes may share a cache without a lock. Equal segments have equal names, and a file is removed only where it is
broken, or once what it holds is in another one. Who comes upon a file that has just gone computes its rows again,
which gives the same bits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.base.progress import logger
from dckt_core.contract.protocols import Encoder
from dckt_core.data.inference import PLAIN, Inference
from dckt_core.io.files import write_text
from dckt_core.io.tensors import load_tensors, peek, save_tensors

KIND, FORMAT = "segment of features", 1
"""The format is part of every key; a change of the layout makes it a new one."""
DIGEST = 32
"""Bytes that name an item."""
ROWS = 1024
"""Rows of a segment at most."""
SMALL = ROWS // 2
"""A segment of fewer rows is merged with others of its kind."""
MANY = 16
"""So many small segments are merged."""

Rows = Mapping[bytes, int]
"""The number of its row, by an item's digest."""


class FeatureCache:
    """The rows of one encoder, computed in blocks of one size.

    Args:
        root: of the cache; the folder lies in `features` in it, and is made when there is something to keep.
        block: items that pass the module at once. It is part of the key, as it may change the last bits of a row.
        how: the module computes, which is part of the key, too.
    """

    def __init__(
        self, root: Path, encoder: Encoder, block: int, log: Callable[[str], None], how: Inference = PLAIN
    ) -> None:
        self.dim = encoder.dim
        self._about = {"encoder": encoder.fingerprint, "dim": encoder.dim, "block": block, **asdict(how)}
        self.folder = root / "features" / hashlib.sha256(json.dumps([FORMAT, self._about]).encode()).hexdigest()
        self._log = log
        self._sizes: dict[Path, int] = {}

    def read(self, wanted: Rows, into: Tensor) -> set[bytes]:
        """Copies the rows that are there to their places in `into` [n, dim]; the items that were found."""
        found: set[bytes] = set()
        for file in sorted(self.folder.glob("*.safetensors")):
            try:
                held = _digests(peek(file, "items"), file)
                self._sizes[file] = len(held)
                if not any(item in wanted and item not in found for item in held):
                    continue
                items, rows = read_segment(file, self.dim)
            except DataError as error:
                self._drop(file, error)
                continue
            new = [(row, item) for row, item in enumerate(items) if item in wanted and item not in found]
            into[[wanted[item] for _, item in new]] = rows[[row for row, _ in new]]
            found.update(item for _, item in new)
        return found

    def add(self, items: Sequence[bytes], rows: Tensor) -> None:
        """Keeps rows [n, dim] of items, each of which is there once.

        Raises:
            OSError: they cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "about.json"
        if not about.exists():
            write_text(about, json.dumps(self._about, ensure_ascii=False) + "\n")
        size = -(-len(items) // -(-len(items) // ROWS))  # alike in all, so that no small one is left over
        for start in range(0, len(items), size):
            part = items[start : start + size]
            file = self.folder / segment_name(part)
            write_segment(file, part, rows[start : start + size])
            self._sizes[file] = len(part)
        self._merge()

    def _merge(self) -> None:
        """Puts small segments together once there are many, and then removes them."""
        small = sorted(file for file, size in self._sizes.items() if size < SMALL)
        if len(small) < MANY:
            return
        merged: dict[bytes, Tensor] = {}
        for file in small:
            try:
                merged.update(zip(*read_segment(file, self.dim), strict=True))
            except DataError as error:
                self._drop(file, error)
        self._sizes = {file: size for file, size in self._sizes.items() if file not in small}
        if merged:
            self.add(list(merged), torch.stack(list(merged.values())))
        for file in small:
            if file not in self._sizes:  # one that held all that the others did is written anew by its own name
                file.unlink(missing_ok=True)

    def _drop(self, file: Path, error: DataError) -> None:
        """Removes what is broken; a file that another process has merged and removed is no matter, and one that cannot
        be opened just now may be whole.
        """
        self._sizes.pop(file, None)
        if file.exists():
            why = str(error).removeprefix(f"{file}: ")
            self._log(f"cached features: {why}; what it held is computed anew")
            logger.debug("it was %s", file)
            with suppress(OSError):  # a cache that may be read alone
                file.open("rb").close()
                file.unlink()


def segment_name(items: Sequence[bytes]) -> str:
    return f"{hashlib.sha256(b''.join(items)).hexdigest()}.safetensors"


def write_segment(file: Path, items: Sequence[bytes], rows: Tensor) -> None:
    """Writes rows [n, dim] of items atomically; raises StorageError."""
    digests = torch.frombuffer(bytearray(b"".join(items)), dtype=torch.uint8).reshape(len(items), DIGEST)
    save_tensors(file, {"items": digests, "features": rows}, kind=KIND, format=FORMAT)


def read_segment(file: Path, dim: int) -> tuple[list[bytes], Tensor]:
    """Items and their rows [n, dim], float32.

    Raises:
        DataError: it is gone or broken, or holds rows of another shape.
    """
    tensors, _ = load_tensors(file, kind=KIND, format=FORMAT)
    items, rows = tensors.get("items"), tensors.get("features")
    if rows is None or items is None or rows.dtype != torch.float32 or rows.shape != (len(items), dim):
        raise DataError(f"{file}: not a whole {KIND}: it holds no features of {dim} values")
    return _digests(items, file), rows


def _digests(items: Tensor, file: Path) -> list[bytes]:
    if items.dtype != torch.uint8 or items.shape[1:] != (DIGEST,):
        raise DataError(f"{file}: not a whole {KIND}: it names no items")
    joined = items.numpy().tobytes()
    return [joined[start : start + DIGEST] for start in range(0, len(joined), DIGEST)]
