"""Files that run a command when they are unpickled: they leave a marker file. Loading one safely leaves none."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


def _torch(marker: Path, *, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"features.0.weight": torch.zeros(2), "x": Touch(marker)}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def _numpy(marker: Path) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Touch(marker)], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def _nested(marker: Path) -> bytes:
    """A pickle inside a pickle, which torch's own storage loader would open without a look."""

    class Storage:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (_torch(marker, zipped=False),)

    return pickle.dumps({"x": Storage()})


def _renamed_zip(marker: Path) -> bytes:
    """A PyTorch file without PyTorch's own writer."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"x": Touch(marker)}, protocol=2))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return buffer.getvalue()


MALICIOUS: dict[str, Callable[[Path], bytes]] = {
    **{f"pickle protocol {n}": lambda marker, n=n: pickle.dumps(Touch(marker), protocol=n) for n in (0, 2, 4, 5)},
    "pickled dictionary": lambda marker: pickle.dumps({"features.0.weight": Touch(marker)}),
    "torch": lambda marker: _torch(marker, zipped=True),
    "torch before 1.6": lambda marker: _torch(marker, zipped=False),
    "torch by hand": _renamed_zip,
    "pickle in a pickle": _nested,
    "numpy": _numpy,
    "gzip": lambda marker: gzip.compress(pickle.dumps(Touch(marker))),
    "pickle after a line of counts": lambda marker: b"1 1\n" + pickle.dumps(Touch(marker)),
}


def obey(content: bytes) -> None:
    """What a careless reader does."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if content[:4] == b"1 1\n":
        content = content[4:]
    if content[:6] == b"\x93NUMPY":
        np.load(io.BytesIO(content), allow_pickle=True)
    elif content[:2] == b"PK":
        torch.load(io.BytesIO(content), weights_only=False)
    else:
        try:
            torch.load(io.BytesIO(content), weights_only=False)
        except Exception:
            pickle.loads(content)
