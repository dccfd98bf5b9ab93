"""Files of features that something else computed: the one reader of them all, whoever wants the rows.

What a file is, its first bytes say: NumPy's `.npy` and `.npz`, Parquet, safetensors, MATLAB's `.mat`; and a folder that
`dckt extract` filled. Nothing in a file is run. Rows of `.npy` and safetensors are mapped into memory and stay on the
disk; all others are read.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from dckt_core.base.errors import DataError, UsageError, one_line
from dckt_core.io.arrays import (
    BLOCK,
    CLASS_LABELS,
    CLASS_NAMES,
    Array,
    Arrays,
    Stored,
    of_batches,
    read_arrays,
    why_unread,
)
from dckt_core.io.feature_kinds import EXTRACT_ANEW, HEADER, is_saved_dataset
from dckt_core.io.files import content_digest
from dckt_core.io.json import read_json, read_lines
from dckt_core.io.seal import Seal
from dckt_core.io.tensors import load_tensors

ITEMS = "items.jsonl"
"""Beside `HEADER`, in the folder that `dckt extract` fills."""
SHARD, SHARD_FORMAT = "shard", 1

Fact = Literal["id", "image", "text", "label", "split", "metadata"]
FACTS: tuple[Fact, ...] = get_args(Fact)
"""What a file may tell of its rows besides: arrays [n] of texts or whole numbers by these names, or these with an s.
`metadata` are objects of JSON."""

NAME = "name:"
"""Begins the id of a name's features."""

NAMED = 3
"""Missing ids that an error names."""


@dataclass(frozen=True)
class ClassNames:
    """Text features of what classes are called.

    Attributes:
        rows: [k, d], all finite.
        names: by label, what they go by, in the order of the rows: the label, then the label with a number.
    """

    rows: Array
    names: Mapping[str, tuple[str, ...]]

    @property
    def ids(self) -> list[str]:
        """Of each row."""
        return [f"{NAME}{name}" for names in self.names.values() for name in names]


@dataclass(frozen=True)
class FeatureTable:
    """Features by row, and what the file tells of the rows. `read_features` makes one.

    Attributes:
        place: where they were read from.
        rows: [n, d], all finite, in the file's own type of number and maybe still on the disk.
        facts: for each fact that the file tells, a text for each row, or None where it says nothing of that row.
        root: where paths of images begin.
        made_by: of an extraction, what encoded the items: see `Extractor.provenance`.
        array: the name of the array that they are in.
        medium: what they are of, where the place says so.
        classes: what the file tells of the classes; None where it tells nothing.
    """

    place: Path
    rows: Array
    facts: Mapping[Fact, Sequence[str | None]] = field(default_factory=dict)
    root: Path = Path()
    made_by: Mapping[str, Any] = field(default_factory=dict)
    array: str = ""
    medium: str | None = None
    classes: ClassNames | None = None

    def __repr__(self) -> str:
        told = f", with {', '.join(self.facts)}" if self.facts else ""
        return f"FeatureTable({str(self.place)!r}, {len(self)} rows of {self.dim} values{told})"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """d, the width of a row."""
        return int(self.rows.shape[1])

    @cached_property
    def ids(self) -> list[str]:
        """The rows' names; where the file has none, their numbers from 0.

        Raises:
            DataError: a row has no name, or two share one.
        """
        if "id" not in self.facts:
            return [str(number) for number in range(len(self))]
        named: list[str] = []
        for number, name in enumerate(self.facts["id"]):
            if not name:
                raise DataError(f"{self.place}: row {number} has no id")
            named.append(name)
        if len(set(named)) < len(named):
            seen: set[str] = set()
            twice = [name for name in named if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
            more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
            raise DataError(f"{self.place}: id '{twice[0]}'{more} names more than one row")
        return named

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The row of each id."""
        return {name: number for number, name in enumerate(self.ids)}

    def take(self, numbers: Sequence[int] | slice) -> Tensor:
        """Some rows [k, d], float32, in memory."""
        chosen = self.rows[numbers if isinstance(numbers, slice) else list(numbers)]
        return torch.from_numpy(np.array(chosen, dtype=np.float32))

    def of(self, ids: Sequence[str]) -> Tensor:
        """The rows [k, d] of these ids, float32, in their order.

        Raises:
            DataError: the file has no row of some; they are counted, and the first ones named.
        """
        self.check(ids)
        return self.take([self.numbers[name] for name in ids]) if len(ids) else torch.empty(0, self.dim)

    def check(self, ids: Sequence[str]) -> None:
        """Raises DataError where there is no row of some ids."""
        missing = [name for name in dict.fromkeys(ids) if name not in self.numbers]
        if missing:
            named = ", ".join(f"'{name}'" for name in missing[:NAMED]) + ", ..." * (len(missing) > NAMED)
            known = f"it has {len(self)} ids, the first '{self.ids[0]}'"
            raise DataError(f"{self.place}: no features of {len(missing)} of {len(set(ids))} items: {named} ({known})")

    def named(self, ids: Sequence[str], origin: str) -> FeatureTable:
        """The same rows under these ids.

        Raises:
            DataError: there are not as many.
        """
        if len(ids) != len(self):
            raise DataError(f"{self.place}: {len(self)} rows for {len(ids)} ids ({origin})")
        return replace(self, facts={**self.facts, "id": list(ids)})

    def with_names(self) -> FeatureTable:
        """The same rows, then those of the names of the classes, where the file has some; ids are all that is known.

        Raises:
            DataError: they differ in width.
        """
        if self.classes is None:
            return self
        if (width := self.classes.rows.shape[1]) != self.dim:
            raise DataError(f"{self.place}: '{CLASS_NAMES}' has rows of {width} values, and its texts have {self.dim}")
        rows = np.concatenate([self.rows, self.classes.rows])
        return replace(self, rows=rows, facts={"id": [*self.ids, *self.classes.ids]}, classes=None)

    def known(self, number: int) -> dict[Fact, str]:
        """What the file tells of a row besides its id."""
        return {fact: value for fact, column in self.facts.items() if fact != "id" and (value := column[number])}


def read_features(place: Any, *, key: str | None = None, medium: str | None = None) -> FeatureTable:
    """The features at a place.

    Args:
        place: a file, or a folder that `dckt extract` or `save_to_disk` of datasets filled; or a `datasets.Dataset`
            with such columns.
        key: the array of features, or several with commas between, whose rows follow one another. By default the only
            one with two axes, or of several the only one whose name holds the medium's. A file of single rows [d] alone
            has a row for each id, under its name.
        medium: `image` or `text`, for a file with features of both.

    Raises:
        DataError: nothing can be read there, there is no such array, or a row is not finite; one line.
    """
    at = Path("dataset")
    if isinstance(place, str | Path) and is_saved_dataset(Path(place)):
        at, place = Path(place), _saved(Path(place))
    if hasattr(place, "with_format"):
        columns = place.with_format("arrow")[:]
        place, arrays = at, of_batches(columns.column_names, columns.to_batches())
    else:
        place = Path(place)
        if place.is_dir() and key is None:
            return _of_extraction(place)
        arrays = read_arrays(place)
    if key is None and _are_single_rows(arrays):
        table = FeatureTable(
            place, np.stack([np.asarray(array) for array in arrays.values()]), {"id": list(arrays)}, place.parent
        )
    else:
        names = _names(place, arrays, key, medium)
        parts = [_checked(place, name, arrays[name]) for name in names]
        if len({part.shape[1] for part in parts}) > 1:
            raise DataError(f"{place}: the rows of {_listing(arrays, names)} differ in width")
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        facts = _facts(place, arrays, len(rows))
        classes = _class_names(place, arrays)
        table = FeatureTable(place, rows, facts, place.parent, array=",".join(names), classes=classes)
    _check_finite(table)
    return table


def _saved(folder: Path) -> Any:
    """What `save_to_disk` wrote, as a `datasets.Dataset`."""
    try:
        import datasets
    except ImportError:
        raise UsageError(f"{folder}: needs datasets, which is not installed: pip install 'dckt[datasets]'") from None
    try:
        return datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever it runs into in a broken folder
        raise DataError(f"{folder}: not a whole data set of datasets: {one_line(str(error))}") from None


def features_digest(place: Path) -> str:
    """Names what lies at a place, wherever that is: 64 hexadecimal digits.

    Raises:
        DataError: it cannot be read.
    """
    files = sorted(file for file in place.iterdir() if file.is_file()) if place.is_dir() else [place]
    try:
        digests = [content_digest(file) for file in files if not file.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from None
    return hashlib.sha256(b"".join(digests)).hexdigest()


# --- which of them are what -----------------------------------------------------------------------------------


def _are_single_rows(arrays: Arrays) -> bool:
    shapes = {array.shape for array in arrays.values()}
    return (
        len(shapes) == 1
        and len(next(iter(shapes))) == 1
        and all(map(_is_numeric, arrays.values()))
        and "" not in arrays
    )


def _is_numeric(array: Array | Stored) -> bool:
    return array.dtype.kind in "fiub"


def _names(file: Path, arrays: Arrays, key: str | None, medium: str | None) -> list[str]:
    """The arrays that hold features."""
    if key is not None:
        names = [name.strip() for name in key.split(",")]
        for name in names:
            if name not in arrays:
                raise DataError(f"{file}: no array '{name}' (it has {_listing(arrays)})")
        return names
    named = {name for fact in FACTS for name in (fact, f"{fact}s") if name in arrays and _tells(fact, arrays[name])}
    names = [name for name, array in arrays.items() if name == "" or (array.ndim == 2 and _is_numeric(array))]
    names = [name for name in names if name not in named and name != CLASS_NAMES]
    if len(names) > 1 and medium is not None:
        names = [name for name in names if medium in name.lower()] or names
    if not names:  # the only one that might have been meant says why it is none
        names = [name for name, array in arrays.items() if name not in FACTS and why_unread(array)]
    if len(names) != 1:
        raise DataError(f"{file}: which array holds the features? say key=NAME (it has {_listing(arrays)})")
    return names


def _tells(fact: Fact, array: Array | Stored) -> bool:
    """Whether an array of a fact's name has one value a row: [n], or [n, 1] or [1, n] as MATLAB has it.

    MATLAB's numbers are floating-point unless somebody asks for others; arrays `image` and `text` of such are features.
    """
    if array.ndim == 2 and 1 in array.shape:
        return fact not in ("image", "text") or array.dtype.kind != "f"
    return array.ndim == 1


def _checked(file: Path, name: str, array: Array | Stored) -> Array:
    what = f"array '{name}'" if name else "its array"
    if why := why_unread(array):
        raise DataError(f"{file}: {what}: {why}")
    if not _is_numeric(array):
        raise DataError(f"{file}: {what} is of type {array.dtype}, not of numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise DataError(f"{file}: {what} is of shape {array.shape}, not a row of values for each item")
    return array if isinstance(array, np.ndarray) else np.asarray(array)


def _facts(file: Path, arrays: Arrays, count: int) -> dict[Fact, Sequence[str | None]]:
    found: dict[Fact, Sequence[str | None]] = {}
    for fact in FACTS:
        for name in (fact, f"{fact}s"):
            if fact == "image" and name in arrays and why_unread(arrays[name]):
                continue  # pictures themselves, and not their names
            if fact == "metadata" and name in arrays and not _are_objects(arrays[name]):
                continue  # somebody's own
            if name in arrays and _tells(fact, arrays[name]):
                column = _texts(file, name, arrays[name])
                if len(column) != count:
                    raise DataError(f"{file}: {count} rows for {len(column)} {fact}s (array '{name}')")
                found[fact] = column
    return found


def _are_objects(array: Array | Stored) -> bool:
    """Whether all of an array's values are texts that look like objects of JSON, or nothing."""
    return all(value is None or (isinstance(value, str) and value[:1] in ("", "{")) for value in np.asarray(array).flat)


def _class_names(file: Path, arrays: Arrays) -> ClassNames | None:
    """What the classes are called, in the order of their labels' first names; None where the file does not say."""
    there = [name for name in (CLASS_NAMES, CLASS_LABELS) if name in arrays]
    if not there:
        return None
    if len(there) == 1:
        raise DataError(f"{file}: '{CLASS_NAMES}' [k, d] and '{CLASS_LABELS}' [k] go together, and it has '{there[0]}'")
    rows = _checked(file, CLASS_NAMES, arrays[CLASS_NAMES])
    labels = _texts(file, CLASS_LABELS, arrays[CLASS_LABELS])
    if len(labels) != len(rows):
        raise DataError(f"{file}: {len(rows)} rows in '{CLASS_NAMES}' for {len(labels)} labels in '{CLASS_LABELS}'")
    places: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        if label in (None, "", "-1"):
            raise DataError(f"{file}: '{CLASS_LABELS}' has no label at {number}")
        places.setdefault(str(label), []).append(number)
    if len(bad := _not_finite(rows)):
        raise DataError(f"{file}: the features of a name of class '{labels[bad[0]]}' are not finite numbers")
    names = {label: (label, *(f"{label} {n}" for n in range(2, len(of) + 1))) for label, of in places.items()}
    return ClassNames(rows[[number for of in places.values() for number in of]], names)


def _texts(file: Path, name: str, array: Array | Stored) -> list[str | None]:
    """An array as texts: numbers are spelled out, MATLAB's cells opened and its padding taken off."""
    texts: list[str | None] = []
    for value in np.asarray(array).reshape(-1).tolist():
        while isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(-1).tolist()[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if value is None or (isinstance(value, float) and math.isnan(value)):
            texts.append(None)
            continue
        if isinstance(value, float) and value.is_integer():  # as tables have whole numbers where some are missing
            value = int(value)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise DataError(f"{file}: array '{name}' holds something else than texts and whole numbers")
        texts.append(str(value).rstrip())
    return texts


def _listing(arrays: Arrays, names: Sequence[str] | None = None) -> str:
    chosen = list(arrays if names is None else names)
    shown = [f"'{name}' {list(arrays[name].shape)}" for name in chosen[:20]]
    return ", ".join(shown) + (f" and {len(chosen) - 20} more" if len(chosen) > 20 else "") if shown else "none"


def _check_finite(table: FeatureTable) -> None:
    """Raises DataError where a row holds NaN, infinity or what is too large for float32; the first is named."""
    bad = [number for start, block in _blocks(table.rows) for number in (start + _not_finite(block)).tolist()]
    if bad:
        name = table.facts["id"][bad[0]] if "id" in table.facts else f"row {bad[0]}"
        more = f" (and of {len(bad) - 1} more of {len(table)})" if len(bad) > 1 else ""
        raise DataError(f"{table.place}: the features of '{name}'{more} are not finite numbers")


def _blocks(rows: Array) -> Iterator[tuple[int, Array]]:
    if rows.dtype.kind == "f":
        for start in range(0, len(rows), BLOCK):
            yield start, rows[start : start + BLOCK]


def _not_finite(block: Array) -> Array:
    with np.errstate(over="ignore"):  # becomes infinite, and is seen
        return np.flatnonzero(~np.isfinite(block.astype(np.float32)).all(axis=1))


# --- what `dckt extract` wrote --------------------------------------------------------------------------------


def _of_extraction(folder: Path) -> FeatureTable:
    file = folder / HEADER
    if not file.is_file():
        raise DataError(f"{folder}: a folder, and none that dckt extract filled ({HEADER} is not there)")
    header = read_json(file, "the header of an extraction", format=1, remedy=EXTRACT_ANEW)
    if header.get("complete") is not True:
        raise DataError(f"{folder}: not a finished extraction; the same dckt extract once more goes on with it")
    try:
        shards = [Path(folder, Path(shard["file"]).name) for shard in header["shards"]]
        root, made_by = Path(header["input"]["root"]), dict(header["made_by"])
        dim, key = int(header["dim"]), header["key"]
        seal = Seal(folder, dict(header["files"]), EXTRACT_ANEW)
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{file}: not the header of an extraction") from None
    seal.check(*shards, folder / ITEMS)
    parts, ids = [np.empty((0, dim), dtype=np.float32)], []
    for shard in shards:
        tensors, facts = load_tensors(shard, kind=SHARD, format=SHARD_FORMAT)
        rows = tensors.get("features")
        if facts.get("key") != key or rows is None or rows.shape != (len(facts.get("ids", ())), dim):
            raise DataError(f"{shard}: not a whole shard of {folder}")
        parts.append(rows.numpy())
        ids += facts["ids"]
    items = list(read_lines(folder / ITEMS, "an item"))
    if [item.get("id") for item in items] != ids:
        raise DataError(f"{folder}: its items are not those of its rows")
    for item in items:
        if "metadata" in item:
            item["metadata"] = json.dumps(item["metadata"], ensure_ascii=False)
    told: dict[Fact, Sequence[str | None]] = {
        fact: [item.get(fact) for item in items] for fact in FACTS if any(fact in item for item in items)
    }
    if not ids:
        raise DataError(f"{folder}: holds no rows")
    medium = header.get("medium")
    return FeatureTable(folder, np.concatenate(parts), {"id": ids, **told}, root, made_by, medium=medium)
