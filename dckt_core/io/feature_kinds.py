"""What a file of features is, by its first bytes. No torch in here, so that layouts are told apart without it."""

from __future__ import annotations

from pathlib import Path

HEADER = "extraction.json"
"""In the folder that `dckt extract` fills."""
EXTRACT_ANEW = "the same dckt extract makes it anew"
"""What an extraction that is altered is made from."""
KINDS = ("npy", "npz", "parquet", "safetensors", "mat", "hdf5")
"""All that are read."""

_BEGINNINGS = {
    b"\x93NUMPY": "npy",
    b"PK\3\4": "npz",
    b"PK\5\6": "npz",
    b"PAR1": "parquet",
    b"MATLAB": "mat",
    b"\x89HDF\r\n": "hdf5",
}


def is_saved_dataset(path: Path) -> bool:
    """Whether a folder is one that `save_to_disk` of Hugging Face's datasets wrote, of one data set."""
    return all((path / name).is_file() for name in ("state.json", "dataset_info.json"))


def is_features(path: Path) -> bool:
    """Whether a file of features lies there, or a folder that `dckt extract` filled; cheap."""
    if path.is_dir():
        return (path / HEADER).is_file()
    try:
        kind = kind_of(path) if path.is_file() else ""
    except OSError:
        return False
    return kind in KINDS and (kind != "parquet" or _has_rows(path))


def _has_rows(file: Path) -> bool:
    """Whether a Parquet file has a column of lists of numbers; without one it is a table of pairs. Where that cannot be
    told, whoever reads it says why.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pq.read_schema(file)
    except Exception:
        return True
    lists = [
        kind
        for kind in schema.types
        if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ]
    return any(pa.types.is_primitive(kind.value_type) for kind in lists)


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
