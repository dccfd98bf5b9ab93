"""What may be asked of a search beside the query: which items may be found, and how they are ranked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dckt_core.base.errors import ArgumentError, UsageError, did_you_mean
from dckt_core.io.text import shown
from dckt_core.retrieval.gallery import Gallery, Item

MOST_NEIGHBOURS = 1000

LISTED, LONGEST = 50, 60
"""Names that an error lists at most, and their letters."""


@dataclass(frozen=True)
class Refine:
    """How a search is narrowed, and how its ranking is corrected.

    Attributes:
        classes: only items of these; empty for all.
        where: only items whose field has the value: fields of `metadata`, or `split`. A list has what is in it. Of
            several values of one field any will do; of several fields each must.
        expand: K nearest items that are averaged with the query, which then looks once more; 0 for none. See
            `neighbours.expanded`.
        csls: K neighbours by whose mean similarity hubs are held back; 0 for none. See `neighbours.Hubness`.
    """

    classes: tuple[str, ...] = ()
    where: tuple[tuple[str, Any], ...] = ()
    expand: int = 0
    csls: int = 0

    def __post_init__(self) -> None:
        """Raises ArgumentError for numbers of neighbours that are none."""
        for name in ("expand", "csls"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_NEIGHBOURS:
                raise ArgumentError(f"{name}: {value!r} is no number of neighbours from 0 to {MOST_NEIGHBOURS}")

    def admitted(self, gallery: Gallery) -> set[str] | None:
        """The ids that may be found; None for all.

        Raises:
            UsageError: no item is of one of the classes or has one of the values, or none has all that is asked for.
        """
        if not self.classes and not self.where:
            return None
        wanted: dict[str, list[Any]] = {}
        for name, value in self.where:
            wanted.setdefault(name, []).append(value)
        items = gallery.items.values()
        what = f"{gallery.medium}s"
        labels = {item["label"] for item in items if "label" in item}
        for name in self.classes:
            if name not in labels:
                raise UsageError(f"none of the {what} is of class {shown(name)}{_near(name, labels)}")
        for name, values in wanted.items():
            found = [value for item in items for value in _values(item, name)]
            if not found:
                known = {one for item in items for one in _fields(item)}
                raise UsageError(f"none of the {what} has a field {shown(name)}{_near(name, known)}")
            for value in values:
                if not any(_is(one, value) for one in found):
                    there = {_word(one) for one in found}
                    raise UsageError(
                        f"none of the {what} has {shown(name)} {shown(str(value))}{_near(str(value), there)}"
                    )
        ids = {item["id"] for item in items if self._admits(item, wanted)}
        if not ids:
            raise UsageError(f"none of the {what} has all that is asked for")
        return ids

    def _admits(self, item: Item, wanted: Mapping[str, Sequence[Any]]) -> bool:
        if self.classes and item.get("label") not in self.classes:
            return False
        return all(
            any(_is(one, value) for one in _values(item, name) for value in values) for name, values in wanted.items()
        )


AS_IT_IS = Refine()
"""Everything may be found, and cosines rank it."""


def wishes(said: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What `Refine.where` takes, from `FIELD=VALUE`.

    Raises:
        UsageError: one is none.
    """
    split = [one.partition("=") for one in said]
    for name, sign, _ in split:
        if not name or not sign:
            raise UsageError(f"where: {shown(name)} is not FIELD=VALUE")
    return tuple((name, value) for name, _, value in split)


def _values(item: Item, name: str) -> Iterator[Any]:
    """What an item has in a field."""
    said = item.get("metadata", {}).get(name, item.get(name) if name == "split" else None)
    if isinstance(said, list | tuple):
        yield from said
    elif said is not None:
        yield said


def _fields(item: Item) -> Iterator[str]:
    yield from item.get("metadata", {})
    if "split" in item:
        yield "split"


def _is(one: Any, wanted: Any) -> bool:
    """Whether a value is the one that is wanted, or what people write for it: `true`, `2019`, `2019.0`."""
    if isinstance(one, bool) or isinstance(wanted, bool) or not isinstance(one, int | float):
        return _word(one) == _word(wanted)
    try:
        return bool(one == float(wanted))
    except (TypeError, ValueError):
        return False


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _near(word: str, known: set[str]) -> str:
    """The tail of an error, where what is known can be listed."""
    if len(known) > LISTED or any(len(one) > LONGEST for one in known):
        return " (another one is there)" if len(known) == 1 else f" ({len(known):,} others are there)"
    return did_you_mean(word, known)
