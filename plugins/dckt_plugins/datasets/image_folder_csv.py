"""`image-folder-csv`: a folder of images, and a table beside it with one pair a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from dckt_core import DatasetSpec, PairSet, UsageError, hookimpl
from dckt_core.base.errors import did_you_mean
from dckt_core.data.manifest import Problem
from dckt_core.io.text import MAX_LINE_BYTES, shown
from dckt_plugins.datasets.collector import Collector

if TYPE_CHECKING:
    from dckt_core import DatasetContext

NAME = "image-folder-csv"
TABLE, IMAGES = "pairs.csv", "images"
_NAMED = 50
"""Columns that an error tells of."""


@dataclass(frozen=True)
class Options:
    """What a table may do its own way."""

    images: Annotated[str, "folder that the image column starts from; . for that of the table"] = IMAGES
    image_column: Annotated[str, "column with an image's path"] = "image"
    text_column: Annotated[str, "column with the text"] = "text"
    label_column: Annotated[str, "column with the class"] = "label"
    split_column: Annotated[str, "column with train, val or test"] = "split"
    separator: Annotated[str, "character between cells, or the word tab"] = ","

    def columns(self) -> dict[str, str]:
        """Fields of a pair, and what the table calls them."""
        named = (self.image_column, self.text_column, self.label_column, self.split_column)
        return dict(zip(("image", "text", "label", "split"), named, strict=True))


@hookimpl
def dckt_datasets() -> list[DatasetSpec[Any]]:
    return [
        DatasetSpec(
            name=NAME,
            summary=f"a folder with {TABLE} (image, text, label, split) and {IMAGES}/",
            options=Options,
            load=load,
            detect=detect,
            api="1.0",
        )
    ]


def detect(path: Path) -> bool:
    """True for a folder with `pairs.csv` and `images/`, and for any `.csv` file beside `images/`."""
    if path.suffix == ".csv" and path.is_file():
        return (path.parent / IMAGES).is_dir()
    return (path / TABLE).is_file() and (path / IMAGES).is_dir()


def load(location: Path | None, options: Options, context: DatasetContext) -> PairSet:
    """The pairs of the table; raises `ManifestError` where it has problems."""
    table = location if location is not None and location.is_file() else None
    collector = Collector(table.parent if table else location, NAME)
    file = table or collector.folder / TABLE
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            _read(stream, file, options, collector)
    except OSError as error:
        collector.problems.append(Problem(file, None, f"cannot be read: {error.strerror or error}"))
    return collector.pair_set()


def _read(stream: TextIO, file: Path, options: Options, collector: Collector) -> None:
    rows = csv.reader(_lines(stream), delimiter=_separator(options.separator), strict=True)
    begin = 1
    try:
        header = next(rows, [])
        place = _places(header, options.columns())
        begin = rows.line_num + 1
        for row in rows:
            if row:
                collector.add(file, begin, partial(_entry, row, len(header), place, options.images))
            begin = rows.line_num + 1
    except (csv.Error, ValueError) as error:  # where the next row begins is not known any more
        collector.problems.append(Problem(file, begin, str(error)))


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES:
            raise ValueError(f"longer than {MAX_LINE_BYTES} characters")
        yield line


def _separator(word: str) -> str:
    character = "\t" if word in ("tab", "\\t") else word
    if len(character) != 1 or character in '"\r\n':
        raise UsageError(f"data set '{NAME}': separator must be a single character or the word tab, not {shown(word)}")
    return character


def _places(header: list[str], columns: dict[str, str]) -> dict[str, int]:
    """Where in a row each field of a pair stands."""
    names = [name.strip() for name in header]
    for column in columns.values():
        if column not in names:
            known = [shown(name)[1:-1] for name in names[:_NAMED]]  # a header may hold anything
            raise ValueError(f"column {shown(column)} is missing: {did_you_mean(column, known)}")
        if names.count(column) > 1:
            raise ValueError(f"column {shown(column)} is there twice")
    return {field: names.index(column) for field, column in columns.items()}


def _entry(row: list[str], width: int, place: dict[str, int], images: str) -> dict[str, Any]:
    if len(row) != width:
        raise ValueError(f"{len(row)} cells, and the header has {width}")
    entry = {field: row[number] for field, number in place.items()}
    for field, value in entry.items():
        if any("\udc80" <= character <= "\udcff" for character in value):
            raise ValueError(f"field '{field}' is not UTF-8")
    if entry["image"].strip() and images != ".":
        entry["image"] = f"{images}/{entry['image']}"
    return entry
