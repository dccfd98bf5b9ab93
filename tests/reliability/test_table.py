"""The page of promises counts what it says it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.table import HERE, ROOT, Case, Promise, of, read_promises, read_report, tables

REPORT = """<testsuites><testsuite>
<testcase file="tests/a/test_x.py" name="test_one[0]"><properties><property name="faults" value="7"/></properties></testcase>
<testcase file="tests/a/test_x.py" name="test_one[1]"><failure>no</failure></testcase>
<testcase file="tests/a/test_x.py" name="test_two"><skipped/></testcase>
<testcase file="tests/a/test_y.py" name="test_control"><properties><property name="note" value="3 of 20 torn"/></properties></testcase>
</testsuite></testsuites>
"""  # noqa: E501


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    (tmp_path / "report.xml").write_text(REPORT)
    return read_report(tmp_path / "report.xml")


def test_cases_and_their_faults_are_counted(cases: list[Case]) -> None:
    assert [(case.name, case.passed, case.faults) for case in cases] == [
        ("test_one[0]", True, 7),
        ("test_one[1]", False, 1),
        ("test_control", True, 1),
    ]
    page = tables([Promise("Section", "it holds", "harm", ["a/test_x.py::test_one", "a/test_x.py"])], cases)
    assert "## Section" in page
    assert "| it holds | harm | 8 | 7 | `a/test_x.py::test_one`, `a/test_x.py` |" in page
    assert "For comparison: 3 of 20 torn." in page


@pytest.mark.parametrize("test", ["a/test_x.py::test_two", "a/test_z.py", "a/test_x.py::test_three"])
def test_a_promise_that_nothing_holds_is_no_promise(cases: list[Case], test: str) -> None:
    with pytest.raises(SystemExit, match=f"no test was run that matches {test}"):
        of(Promise("", "", "", [test]), cases)


def test_every_promise_names_tests_that_are_there() -> None:
    promises = read_promises()
    assert len(promises) > 15
    for promise in promises:
        for test in promise.tests:
            file, _, name = test.partition("::")
            assert f"def {name or 'test_'}" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test


def test_the_page_is_of_these_promises() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    for promise in read_promises():
        assert f"| {promise.text} | {promise.faults} |" in page, "run: make reliability"
    assert (HERE / "page.md").read_text(encoding="utf-8").rpartition("{fuzz}")[2] in page, "run: make reliability"
