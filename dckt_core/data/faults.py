"""One fault in many lines is told once: how often, where first, and what to do. No torch in here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FIRST = 3
"""Places that are named."""
COUNTED = {".parquet": "rows", ".json": "entries", ".tar": "members", ".arrow": "rows"}
"""What is numbered in a file, where it is not lines."""

_QUOTED = re.compile(r"(?<!field )(?<!column )(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a data set.

    Attributes:
        line: from 1; None where no line is to blame.
        cut: whether nothing behind it could be read, so that nobody knows how much is lost.
    """

    file: Path
    line: int | None
    reason: str
    cut: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}" if self.line is None else f"{self.file}:{self.line}: {self.reason}"


@dataclass
class Fault:
    """What is wrong in one or many places of a file, or with many files.

    Attributes:
        file: the one that it is in; of whole files the first.
        reason: of the first place.
        lines: whether places are lines of the file, and not files.
        count: how many places there are.
        first: the first ones, as people write them.
        same: whether all places have the very reason of the first.
    """

    file: Path
    reason: str
    lines: bool
    count: int = 0
    first: list[str] = field(default_factory=list)
    same: bool = True

    def __str__(self) -> str:
        if self.count == 1:
            return f"{self.file}:{self.first[0]}: {self.reason}" if self.lines else f"{self.file}: {self.reason}"
        named = ", ".join(self.first) + ", ..." * (self.count > len(self.first))
        such = self.reason if self.same else f"such as {self.reason}"
        if not self.lines:
            return f"{self.count} files ({named}): {such}"
        return f"{self.file}: {self.count} {COUNTED.get(self.file.suffix.lower(), 'lines')} ({named}): {such}"


class Faults:
    """Counts what is wrong by its kind; what it holds grows with the kinds alone.

    Attributes:
        count: of all places.
    """

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.count = 0
        self._kinds: dict[tuple[Path | None, str], Fault] = {}
        for problem in problems:
            self.add(problem)

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._kinds.values())

    def __len__(self) -> int:
        return len(self._kinds)

    def add(self, problem: Problem) -> None:
        lines = problem.line is not None
        key = (problem.file if lines else None, kind_of_reason(problem.reason))
        fault = self._kinds.setdefault(key, Fault(problem.file, problem.reason, lines))
        self.count += 1
        fault.count += 1
        fault.same = fault.same and fault.reason == problem.reason
        if len(fault.first) < FIRST:
            fault.first.append(str(problem.line) if lines else str(problem.file))

    @property
    def first(self) -> Fault:
        """The one that was seen first."""
        return next(iter(self._kinds.values()))


def kind_of_reason(reason: str) -> str:
    """A reason without what is of one place alone: what it quotes, but names of fields and columns, and numbers.

    >>> kind_of_reason("image 'a.png': no such file") == kind_of_reason("image 'b.png': no such file")
    True
    >>> kind_of_reason("field 'split' is missing") == kind_of_reason("field 'label' is missing")
    False
    """
    return _NUMBER.sub("0", _QUOTED.sub("''", reason))
