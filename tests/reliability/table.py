"""Writes docs/reliability.md: `python -m tests.reliability.table > docs/reliability.md`. Takes some ten minutes.

Every count in the page comes from this very run: of the tests that hold a promise (promises.toml), the slow ones among
them, and of the fuzzer. A test counts as one fault unless it records how many it injected. Where anything fails no page
is written. With `--only SECTION` the rest of the page stays as it is, and that section is of this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
COLUMNS = "| promise | faults | injected | survived | held by |"
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Promise:
    """An entry of promises.toml."""

    section: str
    text: str
    faults: str
    tests: Sequence[str]


@dataclass(frozen=True)
class Case:
    """A test that was run. Its file is relative to tests/."""

    file: str
    name: str
    passed: bool
    faults: int
    note: str | None


def read_promises() -> list[Promise]:
    listed = tomllib.loads((HERE / "promises.toml").read_text(encoding="utf-8"))
    return [Promise(**entry) for entry in listed["promise"]]


def run_tests(promises: Sequence[Promise]) -> list[Case]:
    """All tests of the promises, slow ones too; those that were skipped are left out."""
    files = sorted({test.partition("::")[0] for promise in promises for test in promise.tests})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow", f"--junitxml={report}"]
        command += ["-o", "junit_family=xunit1", *(f"tests/{file}" for file in files)]
        subprocess.run(command, cwd=ROOT, stdout=sys.stderr, env=ENVIRONMENT)
        return read_report(report)


def read_report(report: Path) -> list[Case]:
    """The cases of a JUnit file."""
    cases = []
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        said = {item.attrib["name"]: item.attrib["value"] for item in case.iter("property")}
        passed = case.find("failure") is None and case.find("error") is None
        file = case.attrib["file"].removeprefix("tests/")
        cases.append(Case(file, case.attrib["name"], passed, int(said.get("faults", 1)), said.get("note")))
    return cases


def of(promise: Promise, cases: Sequence[Case]) -> list[Case]:
    """The cases that hold a promise."""
    found: dict[tuple[str, str], Case] = {}
    for test in promise.tests:
        file, _, name = test.partition("::")
        matching = {(case.file, case.name): case for case in cases if case.file == file and case.name.startswith(name)}
        if not matching:
            raise SystemExit(f"no test was run that matches {test}")
        found |= matching
    return list(found.values())


def tables(promises: Sequence[Promise], cases: Sequence[Case]) -> str:
    """A section for each group of promises."""
    lines = []
    for section, members in groupby(promises, key=lambda promise: promise.section):
        lines += [f"## {section}", "", COLUMNS, "|---|---|---:|---:|---|"]
        for promise in members:
            found = of(promise, cases)
            injected, survived = sum(case.faults for case in found), sum(case.faults for case in found if case.passed)
            held = ", ".join(f"`{test}`" for test in promise.tests)
            lines.append(f"| {promise.text} | {promise.faults} | {injected} | {survived} | {held} |")
        lines.append("")
    return "\n".join([*lines, *(f"For comparison: {case.note}.\n" for case in cases if case.note)])


def fuzz_table() -> str:
    """What the fuzzer counts, by reader."""
    with tempfile.TemporaryDirectory() as folder:
        counts = Path(folder, "counts.json")
        command = [sys.executable, "-m", "tests.reliability.fuzz", "--json", str(counts)]
        if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, env=ENVIRONMENT).returncode != 0:
            raise SystemExit("the fuzzer found something")
        tallies = json.loads(counts.read_text())
    columns = ("cases", "taken", "refused", "escaped")
    for tally in tallies.values():
        tally["escaped"] = len(tally["escaped"])
    rows = {name: [tally[column] for column in columns] for name, tally in tallies.items()}
    rows["all"] = [sum(row[column] for row in rows.values()) for column in range(len(columns))]
    lines = [f"| reader | {' | '.join(columns)} |", "|---|---:|---:|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(map(str, row))} |" for name, row in rows.items())])


def with_section(page: str, section: str, text: str) -> str:
    """The page with a section in the place of its earlier one, or before the fuzzing where it is new."""
    found = re.search(rf"^## {re.escape(section)}\n.*?(?=^## )", page, re.DOTALL | re.MULTILINE)
    start, end = found.span() if found else (page.index("## Fuzzing\n"),) * 2
    return f"{page[:start]}{text.rstrip()}\n\n{page[end:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="SECTION", action="append", default=[], help="may be said again")
    only = parser.parse_args().only
    promises = [promise for promise in read_promises() if not only or promise.section in only]
    cases = run_tests(promises)
    failed = [f"{case.file}::{case.name}" for case in cases if not case.passed]
    if failed:
        raise SystemExit(f"{len(failed)} tests failed, first {failed[0]}")
    if only:
        page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
        for section in only:
            members = [one for one in promises if one.section == section]
            held = [case for one in members for case in of(one, cases)]
            page = with_section(page, section, tables(members, held))
        print(page, end="")
        return
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "safetensors", "pillow", "gensim"))
    machine = f"Run with Python {platform.python_version()}, {versions} on {platform.system()}, {os.cpu_count()} CPUs."
    page = (HERE / "page.md").read_text(encoding="utf-8")
    for name, text in (("machine", machine), ("tables", tables(promises, cases)), ("fuzz", fuzz_table())):
        page = page.replace(f"{{{name}}}", text)
    print(page, end="")


if __name__ == "__main__":
    main()
