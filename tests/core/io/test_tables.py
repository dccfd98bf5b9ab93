"""Tables that spreadsheets open and run nothing of, and that are read back as they were."""

from __future__ import annotations

import ast
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.io.tables import TableReader, add_to_table, cell, text_of, write_table

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "＝1", "=", "-", "'=1", "''", "'"]
ROOT = Path(__file__).parents[3]


def raw(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    stream = io.StringIO(newline="")
    write_table(stream, ["id", text], [{"id": text, text: 1}])
    written = [one for row in raw(stream.getvalue()) for one in row]
    assert not [one for one in written if one.startswith(tuple("=+-@\t\r\n＝"))]
    (row,) = TableReader(io.StringIO(stream.getvalue(), newline=""))
    assert row == {"id": text, text: "1"}


@pytest.mark.parametrize("number", [-0.5, 1e-9, -1e300, float("-inf"), float("nan"), -3, "-3", "+1.5e-7", "-inf", ".5"])
def test_numbers_stay_numbers(number: Any) -> None:
    assert cell(number) == number or cell(number) is number
    stream = io.StringIO(newline="")
    write_table(stream, ["a"], [{"a": number}])
    assert raw(stream.getvalue())[1] == [str(number)]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5))
def test_whatever_is_written_is_read(texts: list[str]) -> None:
    columns = [f"{n}{text}" for n, text in enumerate(texts)]
    stream = io.StringIO(newline="")
    rows = [dict(zip(columns, texts, strict=True)), dict(zip(columns, reversed(texts), strict=True))]
    write_table(stream, columns, rows[:1])
    add_to_table(stream, columns, rows[1:])
    table = TableReader(io.StringIO(stream.getvalue(), newline=""))
    assert list(table) == rows
    assert all(text_of(str(cell(text))) == text for text in texts)


def test_nothing_is_left_out_in_silence() -> None:
    with pytest.raises(ValueError, match="no column 'b'"):
        write_table(io.StringIO(), ["a"], [{"b": 1}])
    stream = io.StringIO(newline="")
    write_table(stream, ["a", "b"], [{"b": True}, {"a": None, "b": False}])
    assert stream.getvalue() == "a,b\n,1\n,0\n"


def test_no_other_writer_of_csv_is_there() -> None:
    """Of what dckt writes; layouts of data sets read what others wrote."""
    found = []
    for package in ("cli", "dckt_core", "dckt_kernels", "plugins"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter"):
                    found.append(file.relative_to(ROOT).as_posix())
    assert set(found) == {"dckt_core/io/tables.py"}
