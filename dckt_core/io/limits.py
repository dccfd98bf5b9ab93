"""How large a file may be that is read into memory whole: a stranger's may be as large as a disk. No torch in here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dckt_core.base.errors import DataError, UsageError
from dckt_core.io.files import opened


@dataclass(frozen=True)
class Limit:
    """A number of bytes, and the variable that says another one.

    Attributes:
        what: is limited, for the error.
    """

    what: str
    variable: str
    usual: int

    @property
    def most(self) -> int:
        """As many bytes as may be read.

        Raises:
            UsageError: the variable is no whole number from 1 on.
        """
        said = os.environ.get(self.variable)
        if said is None:
            return self.usual
        if not said.isascii() or not said.isdigit() or int(said) < 1:
            raise UsageError(f"{self.variable} must be a whole number of bytes from 1 on, not '{said}'")
        return int(said)

    def read(self, file: Path) -> bytes:
        """What a file holds.

        Raises:
            DataError: it is missing, cannot be read, or is too large.
        """
        with opened(file) as stream:
            return self.read_from(stream, file)

    def read_from(self, stream: BinaryIO, file: Path, *, line: bool = False) -> bytes:
        """The rest of an open file, or its next line; raises as `read`."""
        limit = self.most
        content = stream.readline(limit + 1) if line else stream.read(limit + 1)
        if len(content) > limit:
            raise DataError(f"{file}: {self.what} of more than {limit:,} bytes; {self.variable} allows more")
        return content


CONFIG = Limit("a configuration", "DCKT_MAX_CONFIG", 4 << 20)
"""Of configurations, plans of experiments and files of class names, in TOML."""

JSON = Limit("a JSON file, or a line of one,", "DCKT_MAX_JSON", 256 << 20)
"""Of what runs, extractions and indexes tell of themselves, and of each line of their items."""

TABLE = Limit("a table", "DCKT_MAX_TABLE", 2 << 30)
"""Of a run's metrics and selections."""
