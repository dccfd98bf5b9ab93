"""What a packed file may unpack to: more is no data of anybody's, and fills memory and hours. No torch in here."""

from __future__ import annotations

import os
from pathlib import Path

from dckt_core.base.errors import DataError, UsageError

RATIO = 100
"""A file may unpack to so many times its size. Numbers and words shrink to a tenth at best, tags to a fortieth."""
ALWAYS = 1 << 28
"""Bytes that any file may unpack to."""
VARIABLE = "DCKT_MAX_UNPACKED"
"""Bytes that a file may unpack to instead, where it is set."""


class Unpacked:
    """Counts what comes out of one packed file.

    Attributes:
        limit: bytes that may.

    Raises:
        UsageError: `DCKT_MAX_UNPACKED` is no whole number from 1 on.
    """

    def __init__(self, file: Path) -> None:
        said = os.environ.get(VARIABLE)
        if said is not None and (not said.isascii() or not said.isdigit() or int(said) < 1):
            raise UsageError(f"{VARIABLE} must be a whole number of bytes from 1 on, not '{said}'")
        self.limit = int(said) if said is not None else max(ALWAYS, RATIO * file.stat().st_size)
        self._file, self._out = file, 0

    def count(self, size: int) -> None:
        """Counts so many bytes more.

        Raises:
            DataError: they are too many.
        """
        self._out += size
        if self._out > self.limit:
            raise DataError(
                f"{self._file}: unpacks to more than the {self.limit:,} bytes that are allowed; {VARIABLE} allows more"
            )
