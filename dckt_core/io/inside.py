"""Many paths of one list, each held to what `check_inside` says, with a look at the file and none at what is above it.
No torch in here.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import Path

from dckt_core.io.text import check_inside, is_in

_PLAIN = re.compile(r"[^\0\\:/][^\0\\:]*")
"""Neither a root nor a drive, and nothing that is a separator on one system alone."""


class Inside:
    """Holds paths to `check_inside`. What was found out of a folder is remembered as long as this is there.

    Args:
        root: the folder, as `os.path.realpath` has it.
        what: `image` or `text`, for errors.
        there: whether files must be there.
        roots: the folders that the user allows besides.
    """

    def __init__(self, root: str, what: str, *, there: bool = True, roots: Sequence[Path] = ()) -> None:
        self._root, self._what, self._there, self._roots = root, what, there, roots
        self._folders: dict[str, str | None] = {}

    def check(self, path: str) -> None:
        """Passes, and raises ValueError, as `check_inside` does."""
        if not self._is_plainly_there(path):
            check_inside(self._root, path, self._what, there=self._there, roots=self._roots)

    def _is_plainly_there(self, path: str) -> bool:
        """Whether a path leads to a regular file that is no link, in a folder that lies inside."""
        if not _PLAIN.fullmatch(path) or ".." in path:
            return False
        above, _, name = path.rpartition("/")
        try:
            folder = self._folders[above]
        except KeyError:
            real = os.path.realpath(f"{self._root}/{above}")
            folder = self._folders[above] = real if is_in(real, self._root) else None
        try:
            return folder is not None and stat.S_ISREG(os.lstat(f"{folder}/{name}").st_mode)
        except OSError:
            return False
