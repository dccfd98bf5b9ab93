"""Files of features computed elsewhere: arrays, read without running anything in them, and whose rows they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dckt_core import DataError, load_manifest
from dckt_plugins.encoders.weights import one_line

IDS = "ids"
"""The array of a file that names its rows."""

Arrays = Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class FeatureTable:
    """Features of pairs.

    Attributes:
        file: where they were read from.
        features: [n, d], float32, finite.
        rows: the row of each id.
    """

    file: Path
    features: Tensor
    rows: Mapping[str, int]

    def row(self, pair_id: str) -> Tensor:
        """The features [d] of a pair.

        Raises:
            DataError: the file has none of that id.
        """
        if pair_id not in self.rows:
            known = f"{len(self.rows)} ids, the first '{next(iter(self.rows))}'"
            raise DataError(f"{self.file}: no features of pair '{pair_id}' (it has {known})")
        return self.features[self.rows[pair_id]]


def read_table(file: Path, ids_file: Path | None, key: str | None, *, ids_option: str) -> FeatureTable:
    """The features in a file, by id.

    The ids are those in `ids_file`, or the array `ids` beside the features. A file without either whose arrays all
    are single rows [d] has a row for each id, under its name.

    Args:
        key: the array of features, or several with commas between, whose rows follow one another; by default the
            only one with two axes.
        ids_option: what to say where the ids are missing.

    Raises:
        DataError: the file cannot be read, has no such array, or rows and ids do not fit.
    """
    arrays = read_arrays(file)
    if key is None and ids_file is None and _are_single_rows(arrays):
        ids, values = list(arrays), np.stack(list(arrays.values()))
    else:
        names = _names(file, arrays, key)
        parts = [_checked(file, name, arrays[name]) for name in names]
        if len({part.shape[1] for part in parts}) > 1:
            raise DataError(f"{file}: the rows of {_listing(arrays, names)} differ in width")
        values = np.concatenate(parts)
        if ids_file is not None:
            ids, origin = read_ids(ids_file), str(ids_file)
        elif IDS in arrays:
            ids, origin = _texts(file, arrays[IDS]), f"array '{IDS}'"
        else:
            raise DataError(f"{file}: it does not say whose its {len(values)} rows are; name them with {ids_option}")
        if len(ids) != len(values):
            raise DataError(f"{file}: {len(values)} rows for {len(ids)} ids ({origin})")
    rows = {name: row for row, name in enumerate(ids)}
    if len(rows) < len(ids):
        twice = next(name for row, name in enumerate(ids) if rows[name] != row)
        raise DataError(f"{file}: id '{twice}' names more than one row")
    with np.errstate(over="ignore"):  # becomes infinite, which the next lines see
        features = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    finite = torch.isfinite(features).all(dim=1)
    if not finite.all():
        raise DataError(f"{file}: the features of '{ids[int(finite.int().argmin())]}' are not finite numbers")
    return FeatureTable(file, features, rows)


def read_arrays(file: Path) -> Arrays:
    """All arrays of a file by name; that of a `.npy` file has the name ''.

    Raises:
        DataError: the file is missing, broken, of another kind, or holds Python objects, which may run code.
    """
    if not file.is_file():
        raise DataError(f"{file}: no such file of features")
    if file.suffix not in _READERS:
        raise DataError(f"{file}: features are read from {', '.join(_READERS)}, not from '{file.suffix}'")
    try:
        return _READERS[file.suffix](file)
    except Exception as error:
        reason = one_line(error)
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which may run code when loaded; save numbers and texts"
        elif isinstance(error, NotImplementedError):
            reason = "it is of MATLAB's version 7.3; save it with -v7"
        raise DataError(f"{file}: not a file of arrays: {reason}") from None


def read_ids(file: Path) -> list[str]:
    """The ids of a manifest (`.jsonl`) in its order, or the lines of a text file.

    Raises:
        DataError: the file cannot be read, is no good manifest, or has an empty line.
    """
    if file.suffix == ".jsonl":
        return [pair.id for pair in load_manifest(file).pairs]
    try:
        with file.open(encoding="utf-8-sig") as stream:
            lines = list(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{file}:{number}: an empty line, where each is an id")
    return [line.strip() for line in lines]


def _read_npy(file: Path) -> Arrays:
    return {"": np.load(file, allow_pickle=False)}


def _read_npz(file: Path) -> Arrays:
    # NumPy leaves a file open that it opened and could not read.
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _read_safetensors(file: Path) -> Arrays:
    from safetensors.torch import load_file

    stored = load_file(file)  # as tensors, since NumPy knows no bfloat16
    return {name: (value.float() if value.is_floating_point() else value).numpy() for name, value in stored.items()}


def _read_mat(file: Path) -> Arrays:
    from scipy.io import loadmat
    from scipy.sparse import issparse

    stored = {name: value for name, value in loadmat(file).items() if not name.startswith("__")}
    return {name: value.toarray() if issparse(value) else np.asarray(value) for name, value in stored.items()}


_READERS = {".npz": _read_npz, ".npy": _read_npy, ".safetensors": _read_safetensors, ".mat": _read_mat}


def _are_single_rows(arrays: Arrays) -> bool:
    shapes = {array.shape for array in arrays.values()}
    return (
        len(shapes) == 1
        and len(next(iter(shapes))) == 1
        and all(map(_is_numeric, arrays.values()))
        and "" not in arrays
    )


def _is_numeric(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind in "fiub"


def _names(file: Path, arrays: Arrays, key: str | None) -> list[str]:
    """The arrays that hold features."""
    if key is not None:
        names = [name.strip() for name in key.split(",")]
        for name in names:
            if name not in arrays:
                raise DataError(f"{file}: no array '{name}' (it has {_listing(arrays)})")
        return names
    names = (
        list(arrays) if "" in arrays else [n for n, a in arrays.items() if a.ndim == 2 and _is_numeric(a) and n != IDS]
    )
    if len(names) != 1:
        raise DataError(f"{file}: which array holds the features? say key=NAME (it has {_listing(arrays)})")
    return names


def _checked(file: Path, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    what = f"array '{name}'" if name else "its array"
    if not _is_numeric(array):
        raise DataError(f"{file}: {what} is of type {array.dtype}, not of numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{file}: {what} is of shape {array.shape}, not a row of values for each pair")
    return array


def _texts(file: Path, array: np.ndarray[Any, Any]) -> list[str]:
    """An array of ids as texts: numbers are spelled out, MATLAB's cells opened and its padding taken off."""
    texts = []
    for value in array.reshape(-1).tolist():
        while isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1).tolist()[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise DataError(f"{file}: array '{IDS}' holds something else than texts and whole numbers")
        texts.append(str(value).rstrip())
    return texts


def _listing(arrays: Arrays, names: Sequence[str] | None = None) -> str:
    chosen = list(arrays if names is None else names)
    shown = [f"'{name}' {list(arrays[name].shape)}" for name in chosen[:20]]
    return ", ".join(shown) + (f" and {len(chosen) - 20} more" if len(chosen) > 20 else "") if shown else "none"
