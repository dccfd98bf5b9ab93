"""Reads `pairs.jsonl`: one image-text pair a line, or an item alone. Strict, because a slip in a data set costs a
whole run.

The format is stated in docs/data.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dckt_core.base.errors import DataError, did_you_mean
from dckt_core.contract.pairs import MEDIA, SPLITS, Medium, Pair, PairSet, Split, nothing_else
from dckt_core.data.classes import CLASSES_NAME, check_line, read_names
from dckt_core.data.faults import Faults, Problem
from dckt_core.data.metadata import check_metadata, whole_number
from dckt_core.io.inside import Inside
from dckt_core.io.text import decode_line, is_unicode, numbered_lines, parse_json, shown

MANIFEST_NAME = "pairs.jsonl"
"""What the manifest in a data set's folder is called."""
FIELDS = ("image", "text", "label", "split", "captions", "id", "metadata")
NO_SPLIT = "field 'split' is missing; dckt import draws one: --split 80/10/10"
NULLABLE = ("image", "text", "label")
"""Fields that may be null, which is as good as absent."""

_SPLITS: dict[str, Split] = {split: split for split in SPLITS}


class ManifestError(DataError):
    """A manifest with problems.

    Attributes:
        problems: all of them, in the order of the file.
        good: the pairs of the lines that are in order.
    """

    def __init__(self, problems: list[Problem], good: PairSet) -> None:
        faults = Faults(problems)
        more = faults.count - faults.first.count
        rest = f" (and {more} more: dckt datasets check {good.origin})" if more else ""
        super().__init__(f"{faults.first}{rest}")
        self.problems = problems
        self.good = good


def manifest_file(location: Path) -> Path:
    """The manifest at a path: the path itself, or `pairs.jsonl` in a folder."""
    return location / MANIFEST_NAME if location.is_dir() else location


def load_manifest(
    location: Path, *, name: str | None = None, pictures: bool = True, roots: Sequence[Path] = ()
) -> PairSet:
    """The pairs of a manifest, and the names of their classes where `classes.toml` lies beside it.

    Args:
        location: a folder with `pairs.jsonl`, or the file itself. Image paths are relative to the file's folder.
        name: the data set's name; the folder's by default.
        pictures: False where nobody will look at the pictures, which then need not be there.
        roots: folders besides that pictures may be in.

    Raises:
        ManifestError: anything is wrong with it; the message has the first problem and the count of the others.
    """
    pair_set, problems = inspect_manifest(location, name=name, pictures=pictures, roots=roots)
    if problems:
        raise ManifestError(problems, pair_set)
    return pair_set


def inspect_manifest(
    location: Path, *, name: str | None = None, pictures: bool = True, roots: Sequence[Path] = ()
) -> tuple[PairSet, list[Problem]]:
    """The pairs of all good lines, and every problem of the others. Images are looked for, not opened."""
    file = manifest_file(location)
    entries, problems = inspect_entries(file, pictures=pictures, roots=roots)
    pairs = []
    entries.reverse()
    while entries:  # each entry goes as its pair comes
        pairs.append(pair_of(entries.pop()))
    pair_set = PairSet(name or file.absolute().parent.name, str(location), pairs)
    named, more = with_names(pair_set, file.parent)
    return named, problems + more


def with_names(pair_set: PairSet, folder: Path) -> tuple[PairSet, list[Problem]]:
    """A data set with the names that `classes.toml` in its folder gives its classes, and what is wrong with them."""
    names, reasons = read_names(folder, pair_set.pairs)
    problems = [Problem(folder / CLASSES_NAME, None, reason) for reason in reasons]
    return replace(pair_set, names={**pair_set.names, **names}), problems


def pair_of(entry: dict[str, Any]) -> Pair:
    """The pair that the fields of a good line tell of; pairs of one label share it."""
    label = entry.get("label")
    return Pair(
        id=entry["id"],
        image=entry.get("image"),
        text=entry.get("text"),
        label=None if label is None else sys.intern(label),
        split=_SPLITS[entry["split"]],
        captions=tuple(entry.get("captions", ())),
        metadata=entry.get("metadata") or nothing_else(),
    )


def inspect_entries(
    file: Path, medium: Medium | None = None, *, pictures: bool = True, roots: Sequence[Path] = ()
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The fields of all good lines, and every problem of the others.

    Args:
        medium: what the lines are read for; then they need be no data set, and images are not looked for where it is
            texts.

    Returns:
        Entries have an `id` each, given or not, no field that is null, and `image` as a path, a string, that leads
        there from here.
    """
    reader = _Reader(file, medium, pictures, roots)
    try:
        with file.open("rb") as stream:
            for number, line in numbered_lines(stream):
                reader.read(number, line)
    except OSError as error:
        reader.problems.append(Problem(file, None, f"cannot be read: {error.strerror or error}"))
    entries = reader.entries()
    if not entries and not reader.problems:
        reader.problems.append(Problem(file, None, "holds no pairs"))
    reader.problems.sort(key=lambda problem: problem.line or 0)
    return entries, reader.problems


class _Reader:
    """Collects the entries and problems of one manifest."""

    def __init__(self, file: Path, medium: Medium | None, pictures: bool, roots: Sequence[Path]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._medium = medium
        self._inside = Inside(os.path.realpath(file.parent), "image", there=pictures, roots=roots)
        self._entries: list[tuple[int, dict[str, Any]]] = []
        self._ids: dict[str, int] = {}

    def read(self, number: int, line: bytes | None) -> None:
        """Takes one line; None stands for one that is too long."""
        try:
            entry = {key: value for key, value in _parse(line).items() if value is not None or key not in NULLABLE}
            check_fields(entry, self._medium)
            if "image" in entry and self._medium != "text":
                self._inside.check(entry["image"])
            if "id" in entry:
                self._claim(entry["id"], number)
            self._entries.append((number, entry))
        except ValueError as error:
            self.problems.append(Problem(self._file, number, str(error)))

    def entries(self) -> list[dict[str, Any]]:
        """The good lines; those without an id take their image's path, and the line if that is taken."""
        entries, folder = [], str(self._file.parent)
        for number, entry in self._entries:
            if "id" not in entry:
                image = entry.get("image", "")
                entry["id"] = image if image and image not in self._ids else f"{image}#{number}"
                try:
                    self._claim(entry["id"], number)
                except ValueError as error:
                    self.problems.append(Problem(self._file, number, str(error)))
                    continue
            if "image" in entry:
                entry["image"] = os.path.join(folder, entry["image"])  # noqa: PTH118 - a path takes 300 bytes
            entries.append(entry)
        return entries

    def _claim(self, pair_id: str, number: int) -> None:
        if pair_id in self._ids:
            raise ValueError(f"id {shown(pair_id)} is that of line {self._ids[pair_id]} too")
        self._ids[pair_id] = number


def _parse(line: bytes | None) -> dict[str, Any]:
    entry = parse_json(decode_line(line), object_pairs_hook=_no_key_twice, parse_int=whole_number)
    if not isinstance(entry, dict):
        raise ValueError(f"not a JSON object but {_kind(entry)}")
    return entry


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"field {shown(twice)} is given twice")
    return entry


def check_fields(entry: dict[str, Any], medium: Medium | None = None) -> None:
    """Passes where the fields of a pair, or of an item alone, are there and of the right kind; images are not looked
    for.

    Args:
        medium: as for `inspect_entries`.

    Raises:
        ValueError: the first thing that is wrong.
    """
    for key in entry:
        if key not in FIELDS:
            hint = did_you_mean(key, FIELDS)
            hint += "" if "did you mean" in hint else ": what else is known goes into 'metadata'"
            raise ValueError(f"unknown field {shown(key)}{hint}")
    missing = [name for name in MEDIA if name not in entry]
    if len(missing) == len(MEDIA):
        raise ValueError("fields 'image' and 'text' are missing" if medium is None else f"field '{medium}' is missing")
    if medium is None and "split" not in entry:
        raise ValueError(NO_SPLIT)
    for key, value in entry.items():
        if key == "metadata":
            check_metadata(value)
            continue
        if key == "captions":
            if not isinstance(value, list) or not all(isinstance(caption, str) for caption in value):
                raise ValueError("field 'captions' must be a list of strings")
        elif not isinstance(value, str):
            raise ValueError(f"field '{key}' must be a string, not {_kind(value)}")
        for text in value if key == "captions" else [value]:
            if not is_unicode(text):
                raise ValueError(f"field '{key}' holds half of a surrogate pair, which is no character")
    if not entry.get("image", "-").strip():
        raise ValueError("field 'image' is empty")
    for key in ("label", "id"):
        check_line(entry.get(key, "-"), f"field '{key}'")
    if entry.get("split", SPLITS[0]) not in SPLITS:
        raise ValueError(f"unknown split {shown(entry['split'])} (known: {', '.join(SPLITS)})")
    if "captions" in entry and "text" not in entry:
        raise ValueError("field 'captions' tells what a text was put together from, and there is none")
    if medium is None and missing and entry["split"] != "train":
        raise ValueError(f"field '{missing[0]}' is missing: an item alone is of use for split 'train' and no other")


def _kind(value: Any) -> str:
    names = {str: "a string", list: "a list", dict: "an object", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
