"""Which pairs show the same picture or have the same text: a picture with five captions is not five pictures."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair
from dckt_core.data.sameness import picture_names, text_name


class Contents(NamedTuple):
    """Numbers of what N pairs hold, from 0: pairs of equal numbers hold the same."""

    pictures: Tensor  # [N], int64
    texts: Tensor  # [N], int64


def contents_of(pairs: Sequence[Pair]) -> Contents:
    """Numbers pictures and texts of complete pairs in the order in which they first come.

    Pictures are the same where path or bytes are, texts where they are but for white space and Unicode's ways to write
    a letter. Only files of equal size are read, once a process.
    """
    names = picture_names(pair.image_item.path for pair in pairs)
    return Contents(
        _numbers(names[pair.image_item.path] for pair in pairs),
        _numbers(text_name(pair.text_item.text) for pair in pairs),
    )


def _numbers(names: Iterable[Hashable]) -> Tensor:
    number: dict[Hashable, int] = {}
    return torch.tensor([number.setdefault(name, len(number)) for name in names], dtype=torch.int64)
