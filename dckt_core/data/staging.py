"""What an import has read so far, in a file beside what it writes: it takes no memory, and outlives a kill. No torch in
here.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dckt_core.base.errors import StorageError
from dckt_core.data.faults import Problem

FILE = ".import.sqlite"
_TABLES = """
CREATE TABLE said (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE pictures (
    number INTEGER PRIMARY KEY, source TEXT UNIQUE, path TEXT COLLATE NOCASE, digest BLOB, look BLOB, fault TEXT
);
CREATE TABLE items (number INTEGER PRIMARY KEY, picture INTEGER, label TEXT, split TEXT, fields TEXT);
CREATE TABLE dropped (number INTEGER PRIMARY KEY, file TEXT, line INTEGER, reason TEXT);
CREATE INDEX pictures_by_path ON pictures (path);
CREATE INDEX items_by_picture ON items (picture, label, split, number);
"""


@dataclass(frozen=True)
class Placed:
    """A picture that has its place.

    Attributes:
        path: as the manifest is to name it.
        fault: why it cannot be used; '' where it can.
    """

    number: int
    path: str
    fault: str = ""


class Staging:
    """The file, open.

    Raises:
        StorageError: it cannot be read or written; so do all methods.
    """

    def __init__(self, out: Path) -> None:
        self.file = out / FILE
        try:
            self._db = sqlite3.connect(self.file, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'said'").fetchone():
                self._db.executescript(f"BEGIN;{_TABLES}COMMIT;")
        except sqlite3.Error as error:
            raise StorageError(self.file, f"{error}; without it the import begins anew") from error

    def close(self) -> None:
        self._db.close()

    def remove(self) -> None:
        """Closes the file and removes it."""
        self.close()
        for tail in ("", "-wal", "-shm"):
            Path(f"{self.file}{tail}").unlink(missing_ok=True)

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._db.execute(statement, values)
        except sqlite3.Error as error:
            raise StorageError(self.file, str(error)) from error

    def begin(self) -> None:
        """Begins with what is there whole or not at all."""
        self.run("BEGIN")

    def commit(self) -> None:
        """Ends what was begun; it is there from now on."""
        self.run("COMMIT")

    def rollback(self) -> None:
        """Takes back what was begun."""
        if self._db.in_transaction:
            self._db.rollback()

    def said(self, key: str) -> str | None:
        found = self.run("SELECT value FROM said WHERE key = ?", (key,)).fetchone()
        return None if found is None else str(found[0])

    def say(self, key: str, value: str) -> None:
        self.run("INSERT OR REPLACE INTO said VALUES (?, ?)", (key, value))

    def picture(self, source: str) -> Placed | None:
        """The picture that comes from there, if it has a place."""
        found = self.run("SELECT number, path, fault FROM pictures WHERE source = ?", (source,)).fetchone()
        return Placed(found[0], found[1], found[2] or "") if found else None

    def place(self, source: str, path: str) -> Placed:
        """Gives a picture a place: the path, or where another one has it the path with a number."""
        named, count = PurePosixPath(path), 1
        while self.run("SELECT 1 FROM pictures WHERE path = ?", (path,)).fetchone():
            count += 1
            path = str(named.with_name(f"{named.stem}-{count}{named.suffix}"))
        return self.keep(source, path)

    def keep(self, source: str, path: str) -> Placed:
        """Gives a picture this very path, as of a file that stays where it is."""
        done = self.run("INSERT INTO pictures (source, path) VALUES (?, ?)", (source, path))
        return Placed(int(done.lastrowid or 0), path)

    def note_picture(self, number: int, digest: bytes, look: bytes, fault: str) -> None:
        self.run(
            "UPDATE pictures SET digest = ?, look = ?, fault = ? WHERE number = ?",
            (digest, look, fault or None, number),
        )

    def add(self, picture: int | None, fields: Mapping[str, Any]) -> None:
        text = json.dumps(fields, ensure_ascii=False)
        values = (picture, fields.get("label"), fields.get("split"), text)
        self.run("INSERT INTO items (picture, label, split, fields) VALUES (?, ?, ?, ?)", values)

    def drop(self, problem: Problem) -> None:
        said = (str(problem.file), problem.line, problem.reason)
        self.run("INSERT INTO dropped (file, line, reason) VALUES (?, ?, ?)", said)

    def dropped(self) -> Iterator[Problem]:
        for file, line, reason in self.run("SELECT file, line, reason FROM dropped ORDER BY number"):
            yield Problem(Path(file), line, reason)

    def items(self, *, joined: bool) -> Iterator[list[tuple[int | None, str, dict[str, Any]]]]:
        """The items in order, each as the number and the path of its picture and its fields.

        Args:
            joined: those of one picture, class and split together, at the place of the first.
        """
        first = "MIN(i.number) OVER (PARTITION BY i.picture, i.label, i.split)"
        place = f"CASE WHEN i.picture IS NULL THEN i.number ELSE {first} END" if joined else "i.number"
        rows = self.run(
            f"SELECT {place} AS place, i.picture, p.path, i.fields FROM items i LEFT JOIN pictures p "
            "ON p.number = i.picture ORDER BY place, i.number"
        )
        group: list[tuple[int | None, str, dict[str, Any]]] = []
        last = None
        for at, picture, path, fields in rows:
            if group and at != last:
                yield group
                group = []
            last = at
            group.append((picture, path or "", json.loads(fields)))
        if group:
            yield group

    def paths(self) -> Iterator[str]:
        """Of the pictures that can be used, in order."""
        for (path,) in self.run("SELECT path FROM pictures WHERE fault IS NULL ORDER BY number"):
            yield path

    def looks(self) -> Iterator[tuple[int, bytes, bytes]]:
        """The number, digest and look of each picture that can be used, in order."""
        yield from self.run("SELECT number, digest, look FROM pictures WHERE fault IS NULL ORDER BY number")
