"""What of an import belongs together, and which split it is drawn into. No torch in here."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from dckt_core.base.progress import logger
from dckt_core.contract.pairs import Split
from dckt_core.data.lookalikes import SIDE, alike, families
from dckt_core.data.partition import Groups, Shares, draw
from dckt_core.data.sameness import text_name
from dckt_core.data.staging import Staging

Together = Literal["pictures", "near", "texts"]
TOGETHER: tuple[Together, ...] = ("pictures", "near", "texts")
"""What comes into one split: equal pictures, pictures that are nearly the same, equal texts. All texts of one picture
always do.
"""

MADE = ".made"
"""Field of an item whose text was made from its class: equal ones say nothing."""

Item = tuple[int | None, str, dict[str, Any]]
"""The number and the path of an item's picture, and its fields."""


def merged(group: Sequence[Item]) -> dict[str, Any]:
    """The fields of items that become one: the first one's, with the texts and the metadata of all put together."""
    _, path, fields = group[0]
    entry = {**({"image": path} if path else {}), **fields}
    if len(group) > 1:
        captions = [other["text"] for _, _, other in group if other.get("text")]
        entry |= {"text": " ".join(captions), "captions": captions}
        if metadata := _together([other.get("metadata", {}) for _, _, other in group]):
            entry["metadata"] = metadata
    return entry


def _together(said: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Metadata of items that become one; where a field differs, all that it is, as a list."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for one in said for key in one):
        first, *others = (one[key] for one in said if key in one)
        if any(other != first for other in others):
            parts = (value if isinstance(value, list) else [value] for value in (first, *others))
            first = list(dict.fromkeys(part for one in parts for part in one))
        found[key] = first
    return found


def drawn(
    staging: Staging, shares: Shares, seed: int, together: Sequence[Together], *, joined: bool
) -> tuple[list[Split], dict[str, int]]:
    """A split for each item of an import, in order, and how many pictures are equal to another one or near one."""
    labels: list[str | None] = []
    names: list[str] = []
    fixed: list[int] = []
    by_picture: dict[int, list[int]] = defaultdict(list)
    by_text: dict[bytes, list[int]] = defaultdict(list)
    for number, group in enumerate(staging.items(joined=joined)):
        picture, path, entry = group[0][0], group[0][1], merged(group)
        labels.append(entry.get("label"))
        names.append(f"{entry.get('id', path)}\0{entry.get('text', '')}")
        if picture is None or "text" not in entry:
            fixed.append(number)
        if picture is not None:
            by_picture[picture].append(number)
        if "texts" in together and MADE not in entry and (words := text_name(entry.get("text", ""))):
            by_text[hashlib.blake2b(words.encode("utf-8", "replace"), digest_size=12).digest()].append(number)
    if fixed:
        many = f"{len(fixed)} of {len(labels)}"
        logger.info("%s: %s have no text or no picture, and so are for train alone", staging.file.parent, many)
    groups = Groups(len(labels))
    for items in (*by_picture.values(), *by_text.values()):
        groups.join(items)
    told = {}
    for kind, families_ in _families(staging, together).items():
        told[kind] = sum(map(len, families_)) - len(families_)
        for family in families_:
            groups.join(number for picture in family for number in by_picture.get(picture, ()))
    of = [groups.of(number) for number in range(len(labels))]
    return draw(of, labels, names, shares, seed, fixed=fixed), told


def _families(staging: Staging, together: Sequence[Together]) -> dict[str, list[list[int]]]:
    """Pictures that are one: of `equal` bytes, and `near` to one another."""
    numbers: list[int] = []
    by_digest: dict[bytes, list[int]] = defaultdict(list)
    looks = bytearray()
    for number, digest, look in staging.looks():
        by_digest[digest].append(number)
        if len(by_digest[digest]) == 1:  # of equal ones one is looked at
            numbers.append(number)
            looks += look
    found = {}
    if "pictures" in together:
        found["equal"] = [family for family in by_digest.values() if len(family) > 1]
    if "near" in together:
        shown = np.frombuffer(bytes(looks), dtype=np.uint8).reshape(-1, SIDE, SIDE, 3)
        near = families(alike(shown), len(numbers))
        found["near"] = [[numbers[place] for place in family] for family in near]
    return found
