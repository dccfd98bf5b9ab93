"""Draws a split where the published data set has none: a share of another one, class by class, by a seed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dckt_core import Pair, Split


def draw_split(pairs: Sequence[Pair], into: Split, share: float, *, of: Split, seed: int) -> list[Pair]:
    """The same pairs, a share of one split moved into another.

    Within a class, pairs are ranked by a hash of seed and id, so that neither the order of the files nor a generator's
    version matters. Then every 1/share-th is taken, on from class to class: of n pairs round(share n) go, and of each
    class its share, up to a pair more or less. At least one pair of each class stays.

    Args:
        share: in [0, 1/2].
    """
    size = Counter(pair.label for pair in pairs if pair.split == of)
    rows = [row for row, pair in enumerate(pairs) if pair.split == of and size[pair.label] > 1]
    rows.sort(key=lambda row: (pairs[row].label, rank(pairs[row].id, into, seed)))
    taken = {row for place, row in enumerate(rows) if _half_up(share * (place + 1)) > _half_up(share * place)}
    return [replace(pair, split=into) if row in taken else pair for row, pair in enumerate(pairs)]


def rank(pair_id: str, purpose: str, seed: int) -> bytes:
    """What to sort by for an order that is random, but for one seed the same everywhere."""
    return hashlib.sha256(f"{seed}/{purpose}/{pair_id}".encode("utf-8", "surrogateescape")).digest()


def _half_up(value: float) -> int:
    """Rounded; halves go up, so that of two neighbours never both are taken."""
    return int(value + 0.5)
