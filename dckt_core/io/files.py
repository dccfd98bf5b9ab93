"""Files that are either whole or not there: written beside, flushed, renamed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from dckt_core.base.errors import DataError, StorageError, UsageError

LOCK = ".lock"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Calls `write` with a temporary path in the same folder, then renames it to `path`.

    A reader, or a machine that loses power, sees the old file or the new one, never a part. An error in `write`
    leaves `path` as it was. A link is followed.

    Raises:
        StorageError: the disk is full or read-only, the folder is gone, or something else than a file stands there.
    """
    try:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file():  # a device is no file to put another one in the place of
            raise StorageError(path, "it is a folder" if path.is_dir() else "it is no regular file")
        _write_beside(path, write)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(path, getattr(error, "strerror", None) or " ".join(str(error).split())) from error


def _write_beside(path: Path, write: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Makes a folder that the user named, and those above it, where they are not there.

    Raises:
        UsageError: something else is in the way, or nothing may be made there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror or error}") from None


def sweep(folder: Path) -> None:
    """Removes what writers left, in a folder and those in it, that were killed. Nobody else may be at work there."""
    for stale in folder.rglob(".*.tmp"):
        stale.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """A UTF-8 text file, atomically. Half a character, as a file's name may hold, is escaped as JSON escapes it."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    write_atomically(path, write)


class Hold:
    """A folder held by this process, against others that would hold it: `hold` makes one. The system lets go of it
    however the process ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = _lock_of(folder)
        self._lock.acquire(blocking=False)

    def release(self) -> None:
        """Lets go of the folder; once more does nothing."""
        self._lock.release()

    def rename(self, to: Path) -> None:
        """Renames the folder, which stays held. Windows renames none with an open file in it: there it is let go of for
        that moment.
        """
        if os.name != "nt":
            self.folder = self.folder.rename(to)
            return
        self.release()
        try:
            self.folder = self.folder.rename(to)
        finally:
            self._lock = _lock_of(self.folder)
            self._lock.acquire(blocking=False)


def hold(folder: Path, busy: str) -> Hold:
    """Holds a folder for this process, until it is released.

    Raises:
        UsageError: another process holds it; the message is the folder and `busy`.
        StorageError: the folder cannot be written to.
    """
    if not folder.is_dir():  # filelock would make it
        raise StorageError(folder, "no such folder")
    try:
        return Hold(folder)
    except Timeout:
        raise UsageError(f"{folder}: {busy}") from None
    except OSError as error:
        raise StorageError(folder, error.strerror or str(error)) from None


@contextmanager
def held(folder: Path, busy: str) -> Iterator[None]:
    """`hold` while the block runs."""
    holding = hold(folder, busy)
    try:
        yield
    finally:
        holding.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds a folder. Looking holds it for a moment; where that is not allowed, nobody is seen."""
    if not (folder / LOCK).exists():
        return False
    try:
        Hold(folder).release()
    except Timeout:
        return True
    except OSError:
        return False
    return False


def _lock_of(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, mode=0o666 & ~umask(), thread_local=False)


def umask() -> int:
    """The process's file mode creation mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def is_endless(path: Path) -> bool:
    """Whether something is there that would keep its reader waiting or never end: a pipe, a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """A file to read from.

    Raises:
        DataError: it is missing, cannot be read, or would never end.
    """
    if is_endless(file):
        raise DataError(f"{file}: no file")
    try:
        with file.open("rb") as stream:
            yield stream
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def content_digest(file: Path) -> bytes:
    """SHA-256 of what a file holds, 32 bytes; raises OSError where it cannot be read.

    A file is read once a process, unless it has changed since.
    """
    found = file.stat()
    return _digest(file, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


@lru_cache(maxsize=2**18)
def _digest(file: Path, found: tuple[int, ...]) -> bytes:
    """Of a file as it was when that was found of it."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def sync_folder(folder: Path) -> None:
    """Has the system write a folder's own entries to the disk, so that a new or renamed file in it outlives a crash.
    Windows opens no folder, and sees to it by itself.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
