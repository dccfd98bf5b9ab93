"""What pydantic finds wrong with values from outside, in plain words. Neither torch nor pydantic in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dckt_core.base.errors import one_line

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "from"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "up to"),
}
_LENGTHS = {
    "too_short": ("min_length", "from"),
    "string_too_short": ("min_length", "from"),
    "too_long": ("max_length", "up to"),
    "string_too_long": ("max_length", "up to"),
}
_KINDS = (
    ("int_", "a whole number"),
    ("float_", "a number"),
    ("finite_number", "a finite number"),
    ("decimal_", "a number"),
    ("bool_", "true or false"),
    ("string_", "text"),
    ("path_", "a path"),
    ("none_required", "nothing"),
    ("dict_", "a table"),
    ("mapping_", "a table"),
    ("model_", "a table"),
    ("dataclass_", "a table"),
    ("list_", "a list"),
    ("tuple_", "a list"),
    ("set_", "a list"),
    ("frozen_set_", "a list"),
    ("iterable_", "a list"),
)
"""What the beginning of an error's type says was expected."""

MOST = 60
"""Letters of a value that a message shows."""


@dataclass(frozen=True)
class Complaint:
    """The first thing that is wrong.

    Attributes:
        key: dotted, of the value at fault; empty where it is the whole.
        kind: `unknown`, `missing`, or `value`.
        text: of a value, what it should be: `takes a whole number`. Where a rule of the values' own class was broken,
            what that said.
        value: what it is, as a message shows it.
    """

    key: str
    kind: str
    text: str = ""
    value: str = ""


class Errors(Protocol):
    """A ValidationError of pydantic's, or of a library's that has it check what it is given."""

    def errors(self) -> Sequence[Any]: ...


def complaint(error: Errors) -> Complaint:
    """The first thing that is wrong; alternatives of one value are one thing."""
    first, *rest = error.errors()
    key = list(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return Complaint(".".join(key), "unknown")
    if first["type"] == "missing":
        return Complaint(".".join(key), "missing")
    if first["type"] in ("value_error", "assertion_error"):
        return Complaint(".".join(key), "value", one_line(str(first["ctx"]["error"])), shown(first["input"]))
    expected = [_expected(first)]
    for other in rest:  # a union complains once for each alternative, with the alternative's name behind the key
        if list(map(str, other["loc"]))[:-1] == key[:-1] and other["input"] is first["input"]:
            expected.append(_expected(other))
    if len(expected) > 1:
        key = key[:-1]
    return Complaint(".".join(key), "value", f"takes {' or '.join(dict.fromkeys(expected))}", shown(first["input"]))


def shown(value: object) -> str:
    """A value as a message shows it, cut where it is long."""
    text = one_line("true" if value is True else "false" if value is False else repr(value))
    return text if len(text) <= MOST else f"{text[:MOST]}..."


def _expected(error: Mapping[str, Any]) -> str:
    """What should have been there."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUNDS:
        name, word = _BOUNDS[kind]
        return f"a number {word} {_number(context[name])}"
    if kind in _LENGTHS:
        name, word = _LENGTHS[kind]
        return f"a length {word} {context[name]}"
    if kind in ("literal_error", "enum"):
        return str(context["expected"])
    known = (plain for begin, plain in _KINDS if kind.startswith(begin))
    return next(known, f"something else ({one_line(error['msg'])})")


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
