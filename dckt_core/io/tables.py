"""Tables in CSV: one writer and one reader, so that no text of a stranger's is run by a spreadsheet. No torch in here.

A spreadsheet takes a cell that begins with one of `= + - @`, a tab or a line break for a formula (OWASP, "CSV
Injection"). Such texts get an apostrophe in front, and so do texts that have one already: the reader takes one off, and
what was written is what is read. Numbers are left alone, however they are written: a number is no formula.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

MARK = "'"
_FORMULA = re.compile(r"['=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # and their wide forms, which some take for the same
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|nan)", re.ASCII)


def cell(value: object) -> object:
    """A value as it is written: itself, but for a text that a spreadsheet would run."""
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"{MARK}{value}"


def text_of(written: str) -> str:
    """The text of a cell that `cell` wrote."""
    bare = written.removeprefix(MARK)
    return bare if bare != written and _FORMULA.match(bare) else written


def write_rows(stream: TextIO, rows: Iterable[Sequence[object]]) -> None:
    """Rows of cells, a line each, ended by a line feed. None is an empty cell, a truth is 0 or 1.

    Args:
        stream: opened with `newline=""`.
    """
    plain = csv.writer(stream, lineterminator="\n")
    quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [int(value) if isinstance(value, bool) else cell(value) for value in row]
        returns = any(isinstance(value, str) and "\r" in value for value in cells)  # end a line, says csv's reader
        (quoted if returns else plain).writerow(cells)


def write_table(stream: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """A line of column names, then the rows; what a row has no value for is empty.

    Raises:
        ValueError: a row has a value for no column.
    """
    write_rows(stream, [columns])
    add_to_table(stream, columns, rows)


def add_to_table(stream: TextIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """More rows at the end of a table of these columns; raises as `write_table` does."""

    def values(row: Mapping[str, Any]) -> list[Any]:
        for name in row:
            if name not in columns:
                raise ValueError(f"no column '{name}'")
        return [row.get(name) for name in columns]

    write_rows(stream, map(values, rows))


if TYPE_CHECKING:
    Rows = csv.DictReader[str]
else:
    Rows = csv.DictReader  # takes no parameter before Python 3.12


class TableReader(Rows):
    """The rows of a table that `write_table` wrote, as texts by their columns.

    Going on raises csv.Error where it is no CSV.

    Args:
        stream: opened with `newline=""`.
    """

    def __init__(self, stream: Iterable[str]) -> None:
        super().__init__(stream)
        self.reader: Any = _Cells(stream)
        """Gives each row as a list of texts, as `csv.reader` does."""


class _Cells:
    """What `csv.reader` gives, with every cell as it was before it was written."""

    def __init__(self, stream: Iterable[str]) -> None:
        self._reader = csv.reader(stream, strict=True)

    @property
    def line_num(self) -> int:
        return self._reader.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        return [text_of(one) for one in next(self._reader)]
