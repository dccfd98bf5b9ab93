"""Metadata of an item: an object of JSON with a text, a number, a truth value, or a list of such, by field. No torch in
here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from dckt_core.base.errors import one_line
from dckt_core.contract.pairs import Metadata
from dckt_core.data.classes import check_line
from dckt_core.io.text import is_unicode, parse_json, shown

_DIGITS = 18
"""A whole number of more is read as a floating-point one, so that no line keeps its reader busy."""
_SHOWN = 200


def whole_number(digits: str) -> int | float:
    """For `parse_int` of `json.loads`."""
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def check_metadata(value: Any) -> None:
    """Passes where a value is what metadata may be.

    Raises:
        ValueError: it is not; the message names the field.
    """
    if not isinstance(value, dict):
        raise ValueError("field 'metadata' must be an object")
    for key, said in value.items():
        check_line(key, "a field of 'metadata'")
        for one in [key, *said] if isinstance(said, list) else [key, said]:
            if not isinstance(one, str | int | float):  # a bool is an int
                raise ValueError(f"metadata {shown(key)} must be a text, a number, a truth value or a list of such")
            if isinstance(one, float) and not math.isfinite(one):
                raise ValueError(f"metadata {shown(key)} is no finite number")
            if isinstance(one, str) and not is_unicode(one):
                raise ValueError(f"metadata {shown(key)} holds half of a surrogate pair, which is no character")


def with_captions(metadata: Metadata, captions: Sequence[str]) -> Metadata:
    """What comes back with a picture: its metadata, and the sentences that its text was put together from."""
    return {"captions": list(captions), **metadata} if captions else metadata


def as_words(metadata: Metadata) -> str:
    """Metadata for people, on one line that is not too long: `year 2019, tags dog beach`."""
    said = [
        f"{key} {' '.join(map(_word, value)) if isinstance(value, list | tuple) else _word(value)}"
        for key, value in metadata.items()
    ]
    line = one_line(", ".join(said))
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def as_cell(metadata: Metadata) -> str:
    """Metadata as a text, for a table's cell; `of_cell` reads it."""
    return json.dumps(metadata, ensure_ascii=False)


def of_cell(cell: str) -> Metadata:
    """The metadata that a table's cell holds.

    Raises:
        ValueError: it holds something else.
    """
    value = parse_json(cell, parse_int=whole_number)
    check_metadata(value)
    found: Metadata = value
    return found


def _word(value: object) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value)
