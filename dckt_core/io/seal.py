"""Whether files are still what was written: their digests, kept in a JSON file that is written after them.

Digests are XXH3 of 128 bits, which a core computes faster than a disk reads: looking costs a few percent of loading.
They find what a disk, a copy or an editor did to a file, and forge no trust: who can change a file can change its
digest. A JSON file that holds digests has one of its own, over all that it says. No torch in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import xxhash

from dckt_core.base.errors import AlteredError
from dckt_core.io.files import opened

SEALED = "sealed"
"""The key of a JSON object under which its own digest stands."""
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Seal:
    """The files of a folder as they were written.

    Attributes:
        files: digests, 32 hexadecimal digits each, by the file's path in the folder, with `/` on every system.
        remedy: what makes an altered file anew, for errors.
    """

    folder: Path
    files: Mapping[str, str]
    remedy: str

    def check(self, *files: Path) -> None:
        """Passes where files are what they were. One is read once a process, unless it has changed since.

        Raises:
            AlteredError: one is missing, was not there or is altered; the message names it and says what makes it anew.
        """
        for file in files:
            fault = self.fault(file.relative_to(self.folder).as_posix())
            if fault:
                raise AlteredError(f"{file}: {fault}; {self.remedy}")

    def fault(self, name: str) -> str:
        """What is wrong with a file of the folder; empty where nothing is."""
        if name not in self.files:
            return "none of the files that were written with the others"
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            return "no file of the folder"
        try:
            there = (self.folder / name).is_file()
        except (OSError, ValueError):  # no name that a file can have
            there = False
        if not there:
            return "no such file, and there was one"
        same = digest(self.folder / name) == self.files[name]
        return "" if same else "altered since it was written: its digest is another one"


def digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Digests of files of a folder, for a `Seal`.

    Raises:
        DataError: one cannot be read.
    """
    return {file.relative_to(folder).as_posix(): digest(file) for file in sorted(files)}


def digest(file: Path) -> str:
    """Names what a file holds: 32 hexadecimal digits.

    Raises:
        DataError: it is missing or cannot be read.
    """
    with opened(file):
        found = file.stat()
    return _digest(file, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=2**16)
def _digest(file: Path, found: tuple[int, ...]) -> str:
    """Of a file as it was when that was found of it."""
    hashed = xxhash.xxh3_128()
    with opened(file) as stream:
        while chunk := stream.read(_CHUNK):
            hashed.update(chunk)
    return str(hashed.hexdigest())


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with its own digest."""
    return {**value, SEALED: _digest_of(value)}


def unsealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """What `sealed` was given.

    Raises:
        ValueError: it says something else than it said then; the message is the reason in one line.
    """
    rest = {name: one for name, one in value.items() if name != SEALED}
    if SEALED not in value:
        raise ValueError("it has no digest")
    if value[SEALED] != _digest_of(rest):
        raise ValueError("altered since it was written: its digest is another one")
    return rest


def _digest_of(value: Mapping[str, Any]) -> str:
    said = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return str(xxhash.xxh3_128_hexdigest(said.encode()))
