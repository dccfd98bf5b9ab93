"""Draws train, val and test out of items of which some belong together: by a seed, class by class.

Items that belong together are one group, and a group comes into one split whole: all texts of a picture, pictures that
are nearly the same, equal texts. No torch in here.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from dckt_core.contract.pairs import SPLITS, Split

Shares = tuple[float, float, float]
"""Of train, val and test; they sum to 1."""


class Groups:
    """Which of n items belong together, as far as it has been said.

    >>> groups = Groups(4)
    >>> groups.join([0, 2])
    >>> [groups.of(number) for number in range(4)]
    [0, 1, 0, 3]
    """

    def __init__(self, count: int) -> None:
        self._first = list(range(count))

    def of(self, number: int) -> int:
        """The group of an item: the smallest number in it."""
        first = self._first
        while first[number] != number:
            first[number] = first[first[number]]
            number = first[number]
        return number

    def join(self, numbers: Iterable[int]) -> None:
        """Says that items belong together."""
        one: int | None = None
        for number in numbers:
            number = self.of(number)
            if one is None:
                one = number
            elif number != one:
                one, other = sorted((one, number))
                self._first[other] = one


def draw(
    groups: Sequence[int],
    labels: Sequence[str | None],
    names: Sequence[str],
    shares: Shares,
    seed: int,
    *,
    fixed: Iterable[int] = (),
) -> list[Split]:
    """A split for each of n items.

    Class by class, what has no label last, groups are dealt out where most is wanting, large ones first and equal ones
    in an order that hashes of the seed and of names give, so that neither the order of the items nor a generator's
    version matters. What a class has too much or too little the next one makes up for. Where train has a share, each
    class has at least a group in it.

    Args:
        groups: of each item; a group counts as of the class that most of it have.
        names: of each item, which no other has.
        shares: of the items that go into train, val and test.
        fixed: items that can be in train alone, with all of their groups.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for item, group in enumerate(groups):
        members[group].append(item)
    strata: dict[str | None, list[tuple[int, bytes, int]]] = defaultdict(list)
    for group, items in members.items():
        label = _most_common([labels[item] for item in items])
        strata[label].append((-len(items), _rank(min(names[item] for item in items), seed), group))
    bound = {groups[item] for item in fixed}
    splits: list[Split] = ["train"] * len(groups)
    wanting = dict.fromkeys(SPLITS, 0.0)
    for label in sorted(strata, key=lambda label: (label is None, label or "")):
        ordered = sorted(strata[label])
        for split, share in zip(SPLITS, shares, strict=True):
            wanting[split] -= share * sum(size for size, _, _ in ordered)
        first = shares[0] > 0 and label is not None
        for size, _, group in ordered:
            split = "train" if first or group in bound else max(SPLITS, key=lambda one: wanting[one])
            first = False
            wanting[split] += size
            for item in members[group]:
                splits[item] = split
    return splits


def _most_common(labels: Sequence[str | None]) -> str | None:
    """The label that most have; of equals the first in the alphabet, and one rather than none."""
    counts = Counter(label for label in labels if label is not None)
    return min(counts, key=lambda label: (-counts[label], label)) if counts else None


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
