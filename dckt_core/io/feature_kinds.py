"""What a file of features is, by its first bytes. No torch in here, so that layouts are told apart without it."""

from __future__ import annotations

from pathlib import Path

HEADER = "extraction.json"
"""In the folder that `dckt extract` fills."""
KINDS = ("npy", "npz", "parquet", "safetensors", "mat")
"""All that are read."""

_BEGINNINGS = {
    b"\x93NUMPY": "npy",
    b"PK\3\4": "npz",
    b"PK\5\6": "npz",
    b"PAR1": "parquet",
    b"MATLAB": "mat",
    b"\x89HDF\r\n": "hdf5",
}


def is_features(path: Path) -> bool:
    """Whether a file of features lies there, or a folder that `dckt extract` filled; cheap."""
    if path.is_dir():
        return (path / HEADER).is_file()
    try:
        return path.is_file() and kind_of(path) in KINDS
    except OSError:
        return False


def kind_of(file: Path) -> str:
    """What a file is by its first bytes; '' where that is nothing that is known."""
    with file.open("rb") as stream:
        head = stream.read(128)
    for begin, kind in _BEGINNINGS.items():
        if head.startswith(begin):
            return kind
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= file.stat().st_size - 8:
        return "safetensors"
    return "mat" if file.suffix.lower() == ".mat" else ""  # those of version 4 begin with nothing of their own
