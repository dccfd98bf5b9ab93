"""Arrays in files: NumPy's `.npy` and `.npz`, Parquet, safetensors, MATLAB's `.mat`, HDF5, told apart by their first
bytes.

Nothing in a file is run. Of an `.npz`, `.mat` or HDF5 file an array is read when it is asked for, and none that is not;
what comes out of one file has a limit (`unpacking.py`).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dckt_core.base.errors import DataError, DcktError, UsageError, one_line
from dckt_core.io.feature_kinds import KINDS, kind_of
from dckt_core.io.files import is_endless
from dckt_core.io.unpacking import Unpacked

CLASS_NAMES, CLASS_LABELS = "class_names", "class_labels"
"""Arrays that are of no row: text features [k, d] of what classes are called, and whose names these are [k]."""

BLOCK = 1 << 16
"""Rows that are looked through at once."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stored:
    """An array that is still in its file; `np.asarray` reads it, and raises DataError where it cannot.

    Attributes:
        shape: of it.
        dtype: its type of number.
        load: reads it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array] = field(repr=False)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @cached_property
    def _array(self) -> Array:
        return self.load()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._array if dtype is None else self._array.astype(dtype)


Arrays = Mapping[str, Array | Stored]


def read_arrays(file: Path) -> Arrays:
    """All arrays of a file by name; that of a `.npy` file has the name ''.

    Raises:
        DataError: the file is missing, broken, of another kind, or holds Python objects, which may run code.
    """
    if is_endless(file) or not file.is_file():
        raise DataError(f"{file}: no such file of features")
    with _whole(file):
        kind = kind_of(file)
        if kind in _READERS:
            return _READERS[kind](file)
    known = ", ".join(f".{one}" for one in KINDS)
    raise DataError(f"{file}: features are read from {known} files, and this is none of them by its first bytes")


@contextmanager
def _whole(file: Path) -> Iterator[None]:
    """Whatever a reader raises is a DataError that names the file."""
    try:
        yield
    except DcktError:
        raise
    except Exception as error:
        reason = one_line(str(error)) or type(error).__name__
        if "allow_pickle" in reason or "Python objects" in reason:
            reason = "it holds Python objects, which may run code when loaded; save numbers and texts"
        elif isinstance(error, NotImplementedError):
            reason = "it is of MATLAB's version 7.3; save it with -v7"
        raise DataError(f"{file}: not a whole file of features: {reason}") from None


def _read_npy(file: Path) -> Arrays:
    return {"": np.load(file, mmap_mode="r", allow_pickle=False)}


_NPY = ".npy"


def _read_npz(file: Path) -> Arrays:
    unpacked = Unpacked(file)
    with zipfile.ZipFile(file) as archive:
        members = {one.filename[: -len(_NPY)]: one for one in archive.infolist() if one.filename.endswith(_NPY)}
        if not members:
            raise DataError(
                f"{file}: a packed file with no arrays (.npy) in it; of a spreadsheet save the sheet as .csv"
            )
        return {name: _member(file, archive, info, unpacked) for name, info in members.items()}


def _member(file: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, unpacked: Unpacked) -> Stored:
    """One array of an `.npz` file, of which the header alone is read."""
    with archive.open(info) as stream:
        if (version := np.lib.format.read_magic(stream)) not in _NPY_HEADERS:
            raise ValueError(f"'{info.filename}' is of version {version} of NumPy's format")
        shape, _, dtype = _NPY_HEADERS[version](stream)
        if dtype.hasobject:
            raise ValueError("Python objects")
        if math.prod(shape) * dtype.itemsize > info.file_size:
            raise ValueError(f"'{info.filename}' holds less than its header says")

    def load() -> Array:
        unpacked.count(info.file_size)
        with _whole(file), zipfile.ZipFile(file) as again, again.open(info) as stream:
            array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return array

    return Stored(shape, dtype, load)


_NPY_HEADERS: Mapping[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _read_safetensors(file: Path) -> Arrays:
    from safetensors.torch import load_file

    stored = load_file(file)  # as tensors, since NumPy knows no bfloat16; they are mapped
    return {name: (value.float() if value.dtype == torch.bfloat16 else value).numpy() for name, value in stored.items()}


def _read_parquet(file: Path) -> Arrays:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install 'dckt[parquet]'"
        ) from None
    unpacked = Unpacked(file)
    with pq.ParquetFile(file, memory_map=True) as stored:
        return of_batches(stored.schema_arrow.names, stored.iter_batches(batch_size=BLOCK), unpacked.count)


def of_batches(
    names: Sequence[str], batches: Iterable[Any], count: Callable[[int], None] = lambda size: None
) -> Arrays:
    """The columns of Arrow's batches; what a table holds besides, such as pictures or boxes, is left `Unread`.

    Args:
        count: is told the size of each batch, bytes.
    """
    parts: dict[str, list[Array]] = {name: [] for name in names}
    for batch in batches:
        count(batch.nbytes)
        for name in names:
            parts[name].append(_column(name, batch.column(name)))
    arrays: dict[str, Array] = {}
    for name in names:
        found = parts.pop(name) or [np.empty(0, dtype=object)]
        found = [part for part in found if len(part)] or found[:1]
        widths = {part.shape[1:] for part in found}
        why = next((why for part in found if (why := why_unread(part))), "")
        if why or len(widths) > 1:
            why = why or f"its rows are of {len(widths)} lengths"
            arrays[name] = np.full(sum(map(len, found)), Unread(why), dtype=object)
        else:
            arrays[name] = found[0] if len(found) == 1 else np.concatenate(found)
    return arrays


@dataclass(frozen=True)
class Unread:
    """Stands in a column [n] for cells that are neither rows of numbers nor texts."""

    why: str


def why_unread(array: Array | Stored) -> str:
    """Why the cells of a column were not read; empty where they were."""
    if isinstance(array, Stored):
        return ""
    first = array.flat[0] if array.dtype == object and array.size else None
    return first.why if isinstance(first, Unread) else ""


def _column(name: str, column: Any) -> Array:
    """A column of one batch: rows [n, d] where it is of lists, else values [n]."""
    import pyarrow as pa
    import pyarrow.compute as pc

    of = column.type
    if name in (CLASS_NAMES, CLASS_LABELS):
        column = column.drop_null()  # there are fewer classes than rows

    def unread(why: str) -> Array:
        return np.full(len(column), Unread(why), dtype=object)

    if not (pa.types.is_list(of) or pa.types.is_large_list(of) or pa.types.is_fixed_size_list(of)):
        if pa.types.is_nested(of) or pa.types.is_binary(of) or pa.types.is_large_binary(of):
            return unread(f"it is of type {of}, not of numbers")
        return np.array(column.to_pylist(), dtype=object)
    if not (
        pa.types.is_floating(of.value_type) or pa.types.is_integer(of.value_type) or pa.types.is_boolean(of.value_type)
    ):
        return unread(f"it is of type {of}, not of numbers")
    if column.null_count:
        return unread(f"it has {column.null_count} empty cells")
    lengths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(lengths) > 1:
        return unread(f"its rows are of {len(lengths)} lengths, such as {min(lengths)} and {max(lengths)}")
    values: Array = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), lengths[0] if lengths else 0)


def _read_mat(file: Path) -> Arrays:
    from scipy.io import whosmat

    unpacked = Unpacked(file)
    return {name: _of_mat(file, name, shape, kind, unpacked) for name, shape, kind in whosmat(file)}


def _of_mat(file: Path, name: str, shape: tuple[int, ...], kind: str, unpacked: Unpacked) -> Array | Stored:
    """One variable of a `.mat` file. Numbers wait until they are asked for; the shape of others is known once they are
    read.
    """
    from scipy.io import loadmat
    from scipy.sparse import issparse

    known = _MAT_TYPES.get(kind)
    size = math.prod(shape) * (known.itemsize if known else 8)

    def load() -> Array:
        unpacked.count(size)
        with _whole(file):
            value = loadmat(file, variable_names=[name])[name]
            array: Array = value.toarray() if issparse(value) else np.asarray(value)
        return array

    return load() if known is None else Stored(tuple(shape), known, load)


_MAT_TYPES = {
    "double": np.dtype(float),
    "single": np.dtype(np.float32),
    "logical": np.dtype(bool),
    **{name: np.dtype(name) for name in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")},
}


def _read_hdf5(file: Path) -> Arrays:
    """All data sets of a file and of the groups in it, `group/name`. What would be read from other files is none."""
    try:
        import h5py
    except ImportError:
        raise UsageError(f"{file}: HDF5 needs h5py, which is not installed: pip install 'dckt[hdf5]'") from None
    unpacked, found = Unpacked(file), dict[str, Array | Stored]()

    def load(name: str, size: int) -> Callable[[], Array]:
        def load() -> Array:
            unpacked.count(size)
            with _whole(file), h5py.File(file, "r") as again:
                one = again[name]
                array: Array = one.asstr()[()] if h5py.check_string_dtype(one.dtype) else one[()]
            return np.asarray(array)

        return load

    def enter(group: Any, before: str) -> None:
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue  # a link, which may lead to another file
            one = group[name]
            if isinstance(one, h5py.Group):
                enter(one, f"{before}{name}/")
            elif isinstance(one, h5py.Dataset) and not one.external and not one.is_virtual:
                texts = h5py.check_string_dtype(one.dtype) is not None
                dtype = np.dtype(object) if texts else one.dtype
                if one.shape is not None and (texts or dtype.kind in "fiubSU"):
                    whole = f"{before}{name}"
                    waiting = Stored(tuple(one.shape), dtype, load(whole, math.prod(one.shape) * one.dtype.itemsize))
                    found[whole] = np.asarray(waiting) if texts else waiting

    with h5py.File(file, "r") as stored:
        enter(stored, "")
    return found


_READERS: Mapping[str, Callable[[Path], Arrays]] = {
    "npy": _read_npy,
    "npz": _read_npz,
    "parquet": _read_parquet,
    "safetensors": _read_safetensors,
    "mat": _read_mat,
    "hdf5": _read_hdf5,
}
