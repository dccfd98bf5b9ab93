"""`image-folder-csv`: a folder of images, and a table beside it with one pair a row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from dckt_core import DatasetContext, PairCollector, PairSet, Record, did_you_mean, shown
from dckt_plugins.datasets import table
from dckt_plugins.datasets.catalogue import ImageFolderCSVOptions, TableOptions
from dckt_plugins.datasets.tables import separator_of, text_lines

NAME = "image-folder-csv"
TABLE, IMAGES = "pairs.csv", "images"
OPTIONAL = {"image", "label"}
"""Fields that a row may leave empty. An empty text is a text."""
_NAMED = 50
"""Columns that an error tells of."""


def detect(path: Path) -> bool:
    """True for a folder with `pairs.csv` and `images/`, and for a `.csv` beside `images/` with its columns."""
    if path.is_file():
        return table.is_image_folder_csv(path)
    return (path / TABLE).is_file() and (path / IMAGES).is_dir()


def load(location: Path | None, options: ImageFolderCSVOptions, context: DatasetContext) -> PairSet:
    """The pairs of the table; raises `ManifestError` where it has problems."""
    named = location if location is not None and location.is_file() else None
    folder = named.parent if named else location
    collector = PairCollector(folder, NAME, pictures=context.pictures, roots=context.image_roots)
    file = named or collector.folder / TABLE
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            _read(stream, file, options, collector)
    except OSError as error:
        collector.problem(file, None, f"cannot be read: {error.strerror or error}")
    return collector.pair_set()


def records(location: Path, options: ImageFolderCSVOptions, context: DatasetContext) -> Iterator[Record]:
    """The rows as they stand, of whatever spelling: what `dckt import` brings into order."""
    said = {field: column for field, column in options.columns().items() if column != field}
    how = TableOptions(
        image_column=said.get("image", ""),
        text_column=said.get("text", ""),
        label_column=said.get("label", ""),
        split_column=said.get("split", ""),
        separator=options.separator,
        images=options.images,
    )
    return table.records(location / TABLE if location.is_dir() else location, how, context)


def _read(stream: TextIO, file: Path, options: ImageFolderCSVOptions, collector: PairCollector) -> None:
    rows = csv.reader(text_lines(stream), delimiter=separator_of(options.separator), strict=True)
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
        collector.problem(file, begin, str(error), cut=True)


def _places(header: list[str], columns: dict[str, str]) -> dict[str, int]:
    """Where in a row each field of a pair stands."""
    names = [name.strip() for name in header]
    for column in columns.values():
        if column not in names:
            known = [shown(name)[1:-1] for name in names[:_NAMED]]  # a header may hold anything
            raise ValueError(f"column {shown(column)} is missing{did_you_mean(column, known)}")
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
    for field in OPTIONAL & entry.keys():
        if not entry[field].strip():
            del entry[field]
    if "image" in entry and images != ".":
        entry["image"] = f"{images}/{entry['image']}"
    return entry
