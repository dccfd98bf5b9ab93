"""Rows of tables as people have them: CSV and its kin in any separator, JSON lines, Parquet; read one by one."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dckt_core import DataError, PairCollector, UsageError, decode_line, numbered_lines, parse_json, shown

SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet")
SEPARATORS = ",\t|;"
BATCH = 64
"""Rows of Parquet that are in memory at once, since a row may hold a picture."""

_WHOLE, _NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})"), re.compile(r"-?\d{1,15}\.\d{1,15}")
_HALF = re.compile("[\udc80-\udcff]")
_WIDE = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

Row = Mapping[str, Any] | str
"""Cells by column, or why they cannot be read."""


class Cut(str):
    """Why neither a row nor anything behind it can be read."""


@dataclass(frozen=True)
class Table:
    """A table that is being read.

    Attributes:
        columns: their names; none where each row has its own.
        rows: numbered from 1 as in the file; it can be gone through once.
        typed: whether cells are more than texts.
    """

    columns: Sequence[str]
    rows: Iterator[tuple[int, Row]]
    typed: bool


def open_table(file: Path, separator: str = "") -> Table:
    """A table's columns and rows.

    Args:
        separator: between cells of a text file, or the word tab; found from the header where it is empty.

    Raises:
        DataError: it is no table that can be read.
        UsageError: the separator is no single character; Parquet needs a package that is not there.
    """
    suffix = file.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return Table((), _json_lines(file), typed=True)
    if suffix == ".parquet" or _begins(file, b"PAR1"):
        return _parquet(file)
    rows = _text_rows(file, separator)
    header = next(rows)[1]
    if isinstance(header, str):
        raise DataError(f"{file}:1: {header}")
    if not any(header):
        raise DataError(f"{file}: no names of columns in its first line")
    return Table(list(header), rows, typed=False)


def value_of(cell: str) -> str | int | float:
    """A cell of a text file as the number that it spells, or as it is."""
    if _WHOLE.fullmatch(cell):
        return int(cell)
    return float(cell) if _NUMBER.fullmatch(cell) else cell


def separator_of(word: str) -> str:
    """The character that an option names.

    Raises:
        UsageError: it is none.
    """
    character = "\t" if word in ("tab", "\\t") else word
    if len(character) != 1 or character in '"\r\n':
        raise UsageError(f"separator must be a single character or the word tab, not {shown(word)}")
    return character


def text_lines(stream: TextIO) -> Iterator[str]:
    """Lines for `csv.reader`; ValueError ends those of a file that has no lines."""
    while line := stream.readline(PairCollector.longest_line + 1):
        if len(line) > PairCollector.longest_line:
            raise ValueError(f"longer than {PairCollector.longest_line} characters")
        yield line


def encoding_of(file: Path) -> str:
    """UTF-8, or UTF-16 where the file begins with its mark, as spreadsheets write it."""
    try:
        with file.open("rb") as stream:
            return _WIDE.get(stream.read(2), "utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def _begins(file: Path, mark: bytes) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(mark)) == mark
    except OSError:
        return False


def _text_rows(file: Path, separator: str) -> Iterator[tuple[int, Row]]:
    """The header, then the rows, by column."""
    chosen = separator_of(separator) if separator else ""
    errors = "surrogateescape" if (encoding := encoding_of(file)) == "utf-8-sig" else "replace"
    with file.open(encoding=encoding, errors=errors, newline="") as stream:
        try:
            head = stream.readline(PairCollector.longest_line)
        except UnicodeError as error:
            raise DataError(f"{file}: not UTF-16: {error}") from None
        chosen = chosen or max(SEPARATORS, key=lambda one: (head.count(one), -SEPARATORS.index(one)))
        stream.seek(0)
        rows = csv.reader(text_lines(stream), delimiter=chosen, strict=True)
        begin = 1
        try:
            header = [name.strip() for name in next(rows, [])]
            twice = next((name for name in header if name and header.count(name) > 1), None)  # blank ones name nothing
            if twice is not None:
                yield 1, f"column {shown(twice)} is there twice"
                return
            yield 1, dict.fromkeys(header)
            begin = rows.line_num + 1
            for row in rows:
                if row:
                    yield begin, _row(row, header)
                begin = rows.line_num + 1
        except (csv.Error, ValueError) as error:  # where the next row begins is not known any more
            yield begin, Cut(f"{error}, so that nothing is read from here on")


def _row(cells: list[str], header: list[str]) -> Row:
    if len(cells) != len(header):
        return f"{len(cells)} cells, and the header has {len(header)}"
    if any(map(_HALF.search, cells)):
        return "not UTF-8"
    return {name: cell.strip() for name, cell in zip(header, cells, strict=True)}


def _json_lines(file: Path) -> Iterator[tuple[int, Row]]:
    try:
        with file.open("rb") as stream:
            for number, line in numbered_lines(stream):
                try:
                    value = parse_json(decode_line(line))
                except ValueError as error:
                    yield number, str(error)
                    continue
                yield number, value if isinstance(value, dict) else "not a JSON object"
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def _parquet(file: Path) -> Table:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(
            f"{file}: Parquet needs pyarrow, which is not installed: pip install 'dckt[parquet]'"
        ) from None
    try:
        stored = pq.ParquetFile(file)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{file}: not a whole Parquet file: {' '.join(str(error).split())}") from None
    names = _class_names(stored.schema_arrow.metadata or {})

    def rows() -> Iterator[tuple[int, Row]]:
        number = 0
        try:
            for batch in stored.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {key: names[key](cell) if key in names else cell for key, cell in row.items()}
        except (pa.ArrowException, OSError, ValueError) as error:
            yield number + 1, Cut(f"cannot be read, nor what follows: {' '.join(str(error).split())}")

    return Table(stored.schema_arrow.names, rows(), typed=True)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, Callable[[Any], Any]]:
    """What numbers of classes mean, where the file says it as Hugging Face's do."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        named = {key: list(about["names"]) for key, about in features.items() if about.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}

    def naming(names: list[str]) -> Callable[[Any], Any]:
        return lambda cell: names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else None

    return {key: naming(names) for key, names in named.items()}
