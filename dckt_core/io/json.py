"""JSON on disk: one way to read it, whoever wrote it, and one to write it. No torch in here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dckt_core.base.errors import AlteredError, DataError, one_line
from dckt_core.io.complaint import complaint
from dckt_core.io.files import opened, write_atomically, write_text
from dckt_core.io.limits import JSON
from dckt_core.io.seal import sealed, unsealed
from dckt_core.io.text import parse_json

T = TypeVar("T")


def read_json(file: Path, what: str, *, format: int | None = None, remedy: str | None = None) -> dict[str, Any]:
    """The object that a JSON file holds.

    Args:
        what: the file's content, for errors: `the summary of a run`.
        format: what its field `format` must say; None where it has none.
        remedy: what makes the file anew, where it was written by `write_sealed`; None where it has no digest.

    Raises:
        DataError: it is missing, cannot be read, is not `what` or of another format; an AlteredError where it has been
            `what`.
    """
    fault, advice = (DataError, "") if remedy is None else (AlteredError, f"; {remedy}")
    content = JSON.read(file)
    try:
        value = parse_json(content.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("no JSON object")
    except ValueError as error:  # a UnicodeDecodeError is one
        raise fault(f"{file}: not {what}: {one_line(str(error))}{advice}") from None
    if format is not None:
        check_format(value.get("format"), format, file, what)
    try:
        return value if remedy is None else unsealed(value)
    except ValueError as error:
        raise fault(f"{file}: {error}{advice}") from None


def read_record(file: Path, what: str, kind: type[T], *, format: int, remedy: str | None = None) -> T:
    """The object that a JSON file holds, as a dataclass whose fields are checked; raises as `read_json` does."""
    from pydantic import TypeAdapter, ValidationError  # a fifth of a second that reading plain objects need not wait

    value = read_json(file, what, format=format, remedy=remedy)
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        found = complaint(error)
        says = {"unknown": "an unknown key", "missing": "missing"}.get(found.kind, found.text)
        raise DataError(f"{file}: not {what}: {f'{found.key}: ' * bool(found.key)}{says}") from None


def check_format(found: object, known: int, file: Path, what: str) -> None:
    """Passes where a file's format number is the one that is read here.

    Raises:
        DataError: it is another one, or none.
    """
    if not isinstance(found, int):
        raise DataError(f"{file}: not {what}: it names no format")
    if found != known:
        raise DataError(f"{file}: format {found}, and this dckt reads {known}")


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """A JSON file that people can read, too, atomically."""
    write_text(file, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_sealed(file: Path, value: Mapping[str, Any]) -> None:
    """`write_json`, with the object's own digest: to be read with a `remedy`."""
    write_json(file, sealed(value))


def read_lines(file: Path, what: str) -> Iterator[dict[str, Any]]:
    """The objects of a file with one a line.

    Raises:
        DataError: it is missing or cannot be read, or a line is no object; the message names it.
    """
    with opened(file) as stream:
        for number, line in enumerate(iter(partial(JSON.read_from, stream, file, line=True), b""), start=1):
            try:
                value = parse_json(line.decode("utf-8"))
                if not isinstance(value, dict):
                    raise ValueError("no JSON object")
            except ValueError as error:
                raise DataError(f"{file}:{number}: not {what}: {one_line(str(error))}") from None
            yield value


def write_lines(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A file with an object a line, atomically."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    write_atomically(file, write)
