"""`table`: pairs in a table whose columns are called as they may be: CSV and its kin, JSON lines, Parquet.

`open-clip-csv` (filepath and title, with tabs) and `kaggle-captions` (captions.txt beside Images/) are tables, too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dckt_core import (
    DataError,
    DatasetContext,
    PairSet,
    Record,
    UsageError,
    collect,
    data_folder,
    decode_line,
    is_features,
    numbered_lines,
)
from dckt_plugins.datasets.catalogue import CaptionListOptions, OpenClipOptions, TableOptions
from dckt_plugins.datasets.columns import Named, record_of
from dckt_plugins.datasets.json_stream import head
from dckt_plugins.datasets.pictures import Pictures, check_found
from dckt_plugins.datasets.tables import SUFFIXES, Row, open_table

NAME = "table"
INSIDE = ("captions.csv", "captions.tsv", "captions.jsonl", "captions.parquet")
"""Tables that stand for the folder that they lie in."""
CAPTIONS = "captions.txt"


def detect(path: Path) -> bool:
    """True for a file that is called as tables are, and for a folder with `captions.csv` or the like."""
    if path.is_dir():
        return any((path / name).is_file() for name in INSIDE) and not _is_own(path)
    if path.suffix.lower() not in SUFFIXES or not path.is_file() or path.suffix == ".jsonl":
        return False  # of .jsonl dckt's own manifest is recognised
    if is_image_folder_csv(path) or _is_open_clip(path):
        return False
    return not is_features(path)


def records(location: Path, options: TableOptions, context: DatasetContext) -> Iterator[Record]:
    """The rows of the table, in order."""
    file = location
    if location.is_dir():
        there = [name for name in INSIDE if (location / name).is_file()]
        if not there:
            raise DataError(f"{location}: no table in it ({', '.join(INSIDE)}); name the file")
        file = location / there[0]
        check_found(location, file, context)
    elif not location.is_file():
        raise DataError(f"{location}: no such file")
    named = Named(
        options.image_column, options.text_column, options.label_column, options.split_column, options.id_column
    )
    table, pictures = open_table(file, options.separator), Pictures(data_folder(location), options.images)
    columns = named.find(table.columns, file) if table.columns else {}
    for number, row in table.rows:
        if not table.columns and not isinstance(row, str):  # JSON lines, of which each has its own
            try:
                columns = named.find(list(row), file)
            except DataError as error:
                row = str(error).removeprefix(f"{file}: ")
        yield record_of(file, number, row, columns, pictures, typed=table.typed)


def load(location: Path | None, options: TableOptions, context: DatasetContext) -> PairSet:
    """The pairs of the table; raises `ManifestError` where it has problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a table, or of a folder with {INSIDE[0]}")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def detect_open_clip(path: Path) -> bool:
    """True for a table with the columns filepath and title."""
    return path.is_file() and _is_open_clip(path)


def open_clip_records(location: Path, options: OpenClipOptions, context: DatasetContext) -> Iterator[Record]:
    """The rows of open_clip's table."""
    table = TableOptions(
        image_column=options.image_column,
        text_column=options.text_column,
        separator=options.separator,
        images=options.images,
    )
    return records(location, table, context)


def load_open_clip(location: Path | None, options: OpenClipOptions, context: DatasetContext) -> PairSet:
    """The pairs of open_clip's table; raises `ManifestError` where it has problems."""
    if location is None:
        raise UsageError("data set 'open-clip-csv' needs a path: of a table with the columns filepath and title")
    name = "open-clip-csv"
    return collect(location, name, open_clip_records(location, options, context), context, split=options.split)


def detect_kaggle(path: Path) -> bool:
    """True for a folder with `captions.txt` whose first line is image,caption, and for the file."""
    file = path / CAPTIONS if path.is_dir() else path
    first = head(file, 64).splitlines()[:1] if file.name == CAPTIONS and file.is_file() else []
    return first == ["image,caption"]


def kaggle_records(location: Path, options: CaptionListOptions, context: DatasetContext) -> Iterator[Record]:
    """The lines of captions.txt: a picture, a comma, and a text that may hold further ones."""
    file = location / CAPTIONS if location.is_dir() else location
    check_found(location, file, context)
    pictures = Pictures(data_folder(location), options.images)
    columns = {"image": "image", "text": "caption"}
    try:
        with file.open("rb") as stream:
            for number, line in numbered_lines(stream):
                try:
                    text = decode_line(line)
                except ValueError as error:
                    yield Record(file, number, fault=str(error))
                    continue
                if number == 1 and text.strip().casefold() in ("image,caption", "image,text"):
                    continue
                yield record_of(file, number, _cells(text), columns, pictures, typed=False)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def load_kaggle(location: Path | None, options: CaptionListOptions, context: DatasetContext) -> PairSet:
    """The pairs of captions.txt; raises `ManifestError` where it has problems."""
    if location is None:
        raise UsageError("data set 'kaggle-captions' needs a path: of a folder with captions.txt")
    name = "kaggle-captions"
    return collect(location, name, kaggle_records(location, options, context), context, split=options.split)


def _cells(line: str) -> Row:
    image, comma, text = line.partition(",")
    if not comma:
        return "no comma between a picture and its text"
    if text.startswith('"'):  # as tables quote what holds a comma
        with suppress(csv.Error, ValueError):  # a quotation mark of the text's own
            (text,) = next(csv.reader([text], strict=True))
    return {"image": image.strip(), "caption": text.strip()}


def _is_open_clip(file: Path) -> bool:
    first = head(file, 256).splitlines()[:1]
    return file.suffix.lower() in (".csv", ".tsv") and first == ["filepath\ttitle"]


def is_image_folder_csv(file: Path) -> bool:
    """Whether a table beside `images/` has the columns of the layout `image-folder-csv`."""
    if file.suffix != ".csv" or not (file.parent / "images").is_dir():
        return False
    columns = {name.strip(' "') for name in (head(file, 4096).splitlines() or [""])[0].split(",")}
    return {"image", "text", "split"} <= columns


def _is_own(folder: Path) -> bool:
    return any(os.path.isfile(os.path.join(folder, name)) for name in ("pairs.jsonl", "pairs.csv"))  # noqa: PTH113, PTH118
