"""What makes two pictures the same, and two texts. No torch in here."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import suppress
from pathlib import Path

from dckt_core.io.files import content_digest


def picture_names(paths: Iterable[Path]) -> dict[Path, Hashable]:
    """Something for each file that files of equal bytes share; a file that cannot be looked at is its path.

    Only files of equal size are read.
    """
    paths = dict.fromkeys(paths)
    size = {}
    for path in paths:
        with suppress(OSError):
            size[path] = path.stat().st_size
    sizes = Counter(size.values())
    names: dict[Path, Hashable] = {path: path for path in paths}
    for path in paths:
        if path in size and sizes[size[path]] > 1:
            with suppress(OSError):
                names[path] = content_digest(path)
    return names


def text_name(text: str) -> str:
    """A text but for white space and Unicode's ways to write a letter.

    >>> text_name(" a  lo\\u0308we\\n") == "a l\\u00f6we"
    True
    """
    return " ".join(unicodedata.normalize("NFC", text).split())
