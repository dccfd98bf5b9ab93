"""Which pairs show the same picture or have the same text: a picture with five captions is not five pictures."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair
from dckt_core.data.screening import file_digest


class Contents(NamedTuple):
    """Numbers of what N pairs hold, from 0: pairs of equal numbers hold the same."""

    pictures: Tensor  # [N], int64
    texts: Tensor  # [N], int64


def contents_of(pairs: Sequence[Pair]) -> Contents:
    """Numbers pictures and texts of complete pairs in the order in which they first come.

    Pictures are the same where path or bytes are, texts where they are but for white space and Unicode's ways to write
    a letter. Only files of equal size are read, once a process.
    """
    names = _picture_names(dict.fromkeys(pair.image_item.path for pair in pairs))
    return Contents(
        _numbers(names[pair.image_item.path] for pair in pairs),
        _numbers(" ".join(unicodedata.normalize("NFC", pair.text_item.text).split()) for pair in pairs),
    )


def _picture_names(paths: Iterable[Path]) -> dict[Path, Hashable]:
    """Something for each file that equal files share; a file that cannot be looked at is its path."""
    files = {}
    for path in paths:
        with suppress(OSError):
            status = path.stat()
            files[path] = (status.st_size, status.st_mtime_ns)
    sizes = Counter(size for size, _ in files.values())
    alike = {path: facts for path, facts in files.items() if sizes[facts[0]] > 1}
    return {path: _digest(path, *alike[path]) if path in alike else path for path in paths}


@lru_cache(maxsize=2**17)
def _digest(path: Path, size: int, changed: int) -> bytes:
    """Of a file as it was when it had this size and was last changed."""
    return file_digest(path)


def _numbers(names: Iterable[Hashable]) -> Tensor:
    number: dict[Hashable, int] = {}
    return torch.tensor([number.setdefault(name, len(number)) for name in names], dtype=torch.int64)
