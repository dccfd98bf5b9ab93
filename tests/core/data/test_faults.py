"""One fault in many places is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dckt_core.data.faults import Faults, Problem

FILE = Path("set/pairs.jsonl")


def told(*problems: tuple[Path, int | None, str]) -> list[str]:
    return [str(fault) for fault in Faults(Problem(*one) for one in problems)]


def test_one_fault_in_many_lines_is_told_once_with_its_first_places() -> None:
    faults = Faults(Problem(FILE, number, "field 'split' is missing: say it") for number in range(1, 201))
    assert [str(fault) for fault in faults] == [
        "set/pairs.jsonl: 200 lines (1, 2, 3, ...): field 'split' is missing: say it"
    ]
    assert (faults.count, len(faults), bool(faults), bool(Faults())) == (200, 1, True, False)


def test_faults_that_differ_in_what_they_quote_are_of_one_kind_and_an_example_is_given() -> None:
    reasons = [(FILE, n, f"image 'a{n}.png': no such file") for n in (4, 9)]
    assert told(*reasons) == ["set/pairs.jsonl: 2 lines (4, 9): such as image 'a4.png': no such file"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("field 'split' is missing", "field 'label' is missing"),
        ("column 'a' is missing", "column 'b' is missing"),
        ("no such file", "the file is empty"),
    ],
)
def test_faults_of_different_kinds_stay_apart(one: str, other: str) -> None:
    assert told((FILE, 1, one), (FILE, 2, other)) == [f"set/pairs.jsonl:1: {one}", f"set/pairs.jsonl:2: {other}"]


def test_files_with_one_fault_are_counted_together() -> None:
    pictures = [(Path(f"{n}.png"), None, f"cannot be decoded: cut off after {n} bytes") for n in range(5)]
    assert told(*pictures) == ["5 files (0.png, 1.png, 2.png, ...): such as cannot be decoded: cut off after 0 bytes"]


@pytest.mark.parametrize(("name", "word"), [("a.json", "entries"), ("a.parquet", "rows"), ("a.csv", "lines")])
def test_places_are_called_what_they_are(name: str, word: str) -> None:
    assert told(*((Path(name), n, "empty") for n in (1, 2))) == [f"{name}: 2 {word} (1, 2): empty"]


def test_quotes_within_a_reason_do_not_swallow_the_rest() -> None:
    one, other = (rf"label 'it\'s {n}' is unknown" for n in "ab")
    assert len(told((FILE, 1, one), (FILE, 2, other))) == 1
