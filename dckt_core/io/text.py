"""Reads lists, texts and paths that come from anywhere: nothing endless, nothing outside the folder, no bad bytes.

Whatever is wrong is a ValueError with the reason; the caller knows the file and the line. No torch in here.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO

from dckt_core.base.errors import one_line
from dckt_core.io.paths import meant

MAX_LINE_BYTES = 1 << 20
"""A longer line is an error: it belongs to no list, and is not read into memory whole."""

MAX_TEXT_BYTES = 1 << 20
"""A longer file holds no text that goes with an image, and is not read into memory whole."""

_BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_WIDE = ", as UTF-16 begins; save it as UTF-8"
_SHOWN = 60
_SURROGATE = re.compile("[\ud800-\udfff]")
_ALLOW = {"image": "; --image-root FOLDER allows what lies in a folder of yours"}


def numbered_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines, numbered from 1, without their ends; None for one that is too long. Blank ones and a BOM are left out."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 2):
        number += 1
        body = line.rstrip(b"\r\n")
        if len(body) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, None
            continue
        if number == 1:
            body = body.removeprefix(_BOM)
        if body.strip():
            yield number, body


def decode_line(line: bytes | None) -> str:
    """The text of a line of `numbered_lines`.

    Raises:
        ValueError: it is too long or not UTF-8.
    """
    if line is None:
        raise ValueError(f"longer than {MAX_LINE_BYTES} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}"
        raise ValueError(f"not UTF-8: {where}{_WIDE if line.startswith(_WIDE_MARKS) else ''}") from None


def read_text(file: Path) -> str:
    """A text file in UTF-8, without blanks at its ends.

    Raises:
        ValueError: it is no file, cannot be read, is longer than `MAX_TEXT_BYTES` or not UTF-8.
    """
    if not file.is_file():  # a pipe would keep us waiting
        raise ValueError("no file")
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    if len(content) > MAX_TEXT_BYTES:
        raise ValueError(f"longer than {MAX_TEXT_BYTES} bytes")
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        where = f"byte {error.start + 1} is 0x{content[error.start]:02x}"
        raise ValueError(f"not UTF-8: {where}{_WIDE if content.startswith(_WIDE_MARKS) else ''}") from None


def parse_json(text: str, **hooks: Any) -> Any:
    """The value that a JSON text stands for.

    Args:
        hooks: of `json.JSONDecoder`; what they raise passes through.

    Raises:
        ValueError: it is no JSON, or nested more deeply than anybody wrote it; the message is the reason in one line.
    """
    try:
        return _decoder(**hooks).decode(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise ValueError(f"not JSON: {error.msg} at {line}column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None


@lru_cache(maxsize=8)
def _decoder(**hooks: Any) -> json.JSONDecoder:
    """Made once for a million lines."""
    return json.JSONDecoder(**hooks)


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        ValueError: it is no TOML, or nested more deeply than anybody wrote it; the message is the reason in one line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {one_line(str(error))}") from None
    except RecursionError:
        raise ValueError("not TOML that anybody wrote: nested too deeply") from None


def check_inside(root: str, path: str, what: str, *, there: bool = True, roots: Sequence[Path] = ()) -> None:
    """Passes where a relative path leads to a file that lies inside a folder, symbolic links followed; or where any
    path leads into a folder that the user allows besides.

    Args:
        root: the folder, as `os.path.realpath` has it.
        what: `image` or `text`, for the error.
        there: whether the file must be there.
        roots: the folders that the user allows.

    Raises:
        ValueError: the path is absolute, holds `..` or NUL, leaves the folder through a link, or leads to no file.
    """
    if "\0" in path:
        raise ValueError(f"{what} {shown(path)} holds a NUL character")
    real = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - Path.resolve may raise on odd names
    if not any(is_in(real, os.path.realpath(allowed)) for allowed in roots):
        windows = PureWindowsPath(path)  # knows both separators, so a list means the same on every system
        if windows.drive or windows.root:
            raise ValueError(f"{what} {shown(path)} is not a relative path{_ALLOW.get(what, '')}")
        if ".." in windows.parts:
            raise ValueError(f"{what} {shown(path)} holds '..'{_ALLOW.get(what, '')}")
        if not is_in(real, root):
            raise ValueError(f"{what} {shown(path)} leaves the folder through a symbolic link{_ALLOW.get(what, '')}")
    if there and not os.path.isfile(real):  # noqa: PTH113 - Path.is_file may raise on odd names
        found, _ = meant(Path(root), path)
        hint = f", but {shown(found)} is there; dckt import reads it so" if found != path else ""
        raise ValueError(f"{what} {shown(path)}: no such file{hint}")


def is_in(real: str, folder: str) -> bool:
    """Whether a path is a folder's or one below it, both as `os.path.realpath` has them."""
    return os.path.commonpath([folder, real]) == folder


def is_unicode(text: str) -> bool:
    """Whether all of a text are characters: none is half of a surrogate pair, as names that are not UTF-8 hold them."""
    return text.isascii() or not _SURROGATE.search(text)


def shown(text: str) -> str:
    """A piece of the user's text, quoted, on one line, not too long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
