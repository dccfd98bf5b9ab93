"""What a layout states of its pairs in its own spelling, the form in which data on the way into dckt are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One pair or item as a layout states it, or why it cannot be read. Readers yield them one by one.

    Attributes:
        file: where it is stated.
        line: its number there, from 1: of a line, a row, an entry; None where there are none.
        fields: what is known, by the names of a manifest's fields. `image` is a path from the data set's folder, or an
            absolute one; `captions` without `text` are several texts of one picture. Labels and ids may be numbers,
            splits in other words, and `metadata` anything that JSON has. What is None is as good as absent.
        picture: the bytes of the picture, where it is no file; `image` is what to call it then.
        made: whether the text was made from the class, so that it says nothing of its own.
        fault: why the fields cannot be read; then there are none.
        cut: whether the fault ends the file, so that nobody knows what is behind it. Such a one is never left out.
    """

    file: Path
    line: int | None
    fields: Mapping[str, Any] = field(default_factory=dict)
    picture: bytes | None = None
    fault: str = ""
    made: bool = False
    cut: bool = False
