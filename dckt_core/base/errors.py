"""The errors a user may meet. Each is one line that names the file, line or option, and carries an exit code."""

from __future__ import annotations

import difflib
import re
import traceback
import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_JOINERS = "\u200c\u200d"
"""They are part of words in some scripts, and shown as nothing."""


class ExitCode(IntEnum):
    """What the `dckt` command returns to the shell."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    DATA = 3
    DIVERGED = 4
    INTERRUPTED = 130
    TERMINATED = 143


class DcktError(Exception):
    """Base of every error that dckt raises on purpose; its text is one line, fit to be shown as it is."""

    exit_code = ExitCode.FAILURE
    """What the `dckt` command returns to the shell."""


class UsageError(DcktError):
    """An option, configuration key or name that is unknown or out of range."""

    exit_code = ExitCode.USAGE


class ArgumentError(UsageError, ValueError):
    """An argument of a function, from Python, that cannot be used as it is. A ValueError too, as callers expect."""


class DataError(DcktError):
    """A manifest, image, text or feature file that cannot be used as it is."""

    exit_code = ExitCode.DATA


class AlteredError(DataError):
    """A file that dckt wrote is not what it was then; the text says what makes it anew."""


class NothingToLearnError(DataError):
    """Data that are in order, and offer nothing that what was asked for could learn from."""


class DivergedError(DcktError):
    """Training met a loss or gradient that is not finite."""

    exit_code = ExitCode.DIVERGED


class MachineError(DcktError):
    """The machine gave out: no memory, no room on the disk, another process of the training gone. Nobody's data or
    options are wrong, and a run that it ends can go on.
    """


class StorageError(MachineError, OSError):
    """A file could not be written; `strerror` says why.

    An OSError too, so that who can do without the file need not know what it is written with.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be written: {reason}")
        self.strerror = reason


class StoppedError(DcktError):
    """Training was asked to stop, and did after keeping a checkpoint. Its exit code says by which signal."""

    exit_code = ExitCode.INTERRUPTED


class NothingKnownError(UsageError):
    """A text of which no word is known, so that any answer to it would be chance; who insists has one."""


class PluginError(DcktError):
    """A plugin broke the contract; the text names the distribution at fault."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The tail of an error about an unknown word: the nearest known one, where one is near, then all of them.

    >>> "no 'lyer'" + did_you_mean("lyer", ["layer", "weights"])
    "no 'lyer': did you mean 'layer'? (known: layer, weights)"
    >>> "no 'url'" + did_you_mean("url", ["layer", "weights"])
    "no 'url' (known: layer, weights)"
    """
    names = sorted(known)
    listing = f"(known: {', '.join(names)})" if names else "(none are known)"
    close = difflib.get_close_matches(word, names, n=1)
    return f": did you mean '{close[0]}'? {listing}" if close else f" {listing}"


def describe(error: BaseException) -> str:
    """An exception in one line: `ValueError: what it says`."""
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException) -> str:
    """Where a plugin's error was raised, as a tail of a line about it; empty where nobody knows.

    The file that dckt called into, at the innermost line of its folder: what that calls in turn is seldom to blame.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return _debug(f"{error.filename}:{error.lineno}")
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not _is_ours(one.filename)]
    folders = [Path(one.filename).parent for one in frames]
    own = [one for one, folder in zip(frames, folders, strict=True) if folder == folders[0]]
    return _debug(f"{own[-1].filename}:{own[-1].lineno}") if own else ""


def _is_ours(file: str) -> bool:
    """Whether a frame is between dckt and the plugin: the core, pluggy or Python's import machinery."""
    return file.startswith("<frozen") or any(part in Path(file).parts for part in ("dckt_core", "pluggy", "importlib"))


def _debug(place: str) -> str:
    return f" ({place}; dckt --debug shows the traceback)"


def one_line(text: str) -> str:
    """A library's text, which may have several lines, as a part of one: all white space as single blanks."""
    return " ".join(printable(" ".join(_BLANKS.split(text))).split())


def printable(text: str) -> str:
    """Text on one line that can neither steer what shows it nor turn its letters round: whatever cannot be seen is
    shown as its escape.

    >>> print(printable("red \\x1b[31m square\\nand a second line"))
    red \\x1b[31m square\\nand a second line
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def printable_lines(text: str) -> str:
    """A document of several lines, such as a report, with whatever cannot be seen in it shown as its escape."""
    return "\n".join(map(printable, text.split("\n")))


def _seen(letter: str) -> str:
    if letter.isprintable() or letter in _JOINERS:
        return letter
    return " " if unicodedata.category(letter) == "Zs" else letter.encode("unicode_escape").decode("ascii")
