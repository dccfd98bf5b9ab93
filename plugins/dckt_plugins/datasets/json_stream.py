"""Reads a large JSON object piece by piece: the elements of its arrays one by one, never the whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

CHUNK = 1 << 20
LONGEST = 1 << 26
"""Characters of one element, at most."""

_BLANK = " \t\n\r"


def elements(file: Path) -> Iterator[tuple[str, Any]]:
    """Each value of an object by its key; of an array each element, under the array's key.

    Raises:
        ValueError: it is no JSON object, or one is cut off; the message is one line.
        OSError: it cannot be read.
    """
    with file.open(encoding="utf-8-sig") as stream:
        try:
            yield from _Reader(stream).elements()
        except UnicodeDecodeError:
            raise ValueError("not UTF-8") from None
        except RecursionError:
            raise ValueError("not JSON: nested too deeply") from None


def head(file: Path, size: int = 1 << 16) -> str:
    """The first characters of a file, or '' where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return stream.read(size).decode("utf-8", "replace").removeprefix("\ufeff")
    except OSError:
        return ""


class _Reader:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text, self._place, self._ended = "", 0, False
        self._decoder = json.JSONDecoder()

    def elements(self) -> Iterator[tuple[str, Any]]:
        self._take("{")
        if self._peek() == "}":
            return
        while True:
            key = self._value()
            if not isinstance(key, str):
                raise ValueError("not JSON: a key that is no text")
            self._take(":")
            if self._peek() == "[":
                self._take("[")
                while self._peek() != "]":
                    yield key, self._value()
                    if self._peek() == ",":
                        self._take(",")
                    elif self._peek() != "]":
                        raise ValueError("not JSON: no comma between the elements of an array, or cut off")
                self._take("]")
            else:
                yield key, self._value()
            if self._peek() != ",":
                break
            self._take(",")
        self._take("}")

    def _peek(self) -> str:
        while True:
            while self._place < len(self._text) and self._text[self._place] in _BLANK:
                self._place += 1
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            found = self._peek()
            raise ValueError(f"not JSON: '{mark}' expected, " + (f"not {found!r}" if found else "and it is cut off"))
        self._place += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if len(self._text) - self._place > LONGEST:
                    raise ValueError(f"an element of more than {LONGEST} characters") from None
                if not self._more():
                    raise ValueError(f"not JSON: {error.msg}, or cut off") from None
                continue
            if end == len(self._text) and self._more():  # a number may go on
                continue
            self._place = end
            return value

    def _more(self) -> bool:
        """Reads on; False at the end."""
        if self._ended:
            return False
        wanted = max(CHUNK, len(self._text) - self._place)  # so that a long element is not begun anew too often
        chunk = self._stream.read(wanted)
        self._ended = not chunk
        self._text, self._place = self._text[self._place :] + chunk, 0
        return bool(chunk)
