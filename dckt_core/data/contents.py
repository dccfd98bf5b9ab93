"""Which pairs show the same picture or have the same text: a picture with five captions is not five pictures."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair
from dckt_core.io.files import content_digest


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
    paths, size = list(paths), {}
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


def _numbers(names: Iterable[Hashable]) -> Tensor:
    number: dict[Hashable, int] = {}
    return torch.tensor([number.setdefault(name, len(number)) for name in names], dtype=torch.int64)
