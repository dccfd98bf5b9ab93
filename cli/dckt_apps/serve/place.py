"""One run or index that is served: its searcher, its pictures, and what an answer tells of its items."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from dckt_apps.serve.pictures import Pictures
from dckt_core.base.errors import UsageError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.io.text import shown
from dckt_core.retrieval.gallery import Hit, Item
from dckt_core.retrieval.searcher import Searcher

Found = TypeVar("Found")

TOLD = ("id", "label", "split", "text", "metadata")
"""What is told of an item as it is; the path of its picture is not."""


@dataclass(frozen=True)
class Place:
    """A searcher under the name by which the page and its addresses know it.

    Attributes:
        number: among those that are served, from 0; in the addresses of its pictures.
    """

    name: str
    number: int
    searcher: Searcher
    pictures: Pictures = field(init=False)

    def __post_init__(self) -> None:
        gallery = self.searcher.galleries.get("image")
        items = list(gallery.items.values()) if gallery is not None else []
        object.__setattr__(self, "pictures", Pictures(items))

    @cached_property
    def media(self) -> list[Medium]:
        """What there is to be found."""
        return [medium for medium in MEDIA if medium in self.searcher.galleries]

    def item(self, medium: Medium, name: str) -> Item | None:
        """An item by its id; None where there is none."""
        gallery = self.searcher.galleries.get(medium)
        return gallery.items.get(name) if gallery is not None else None

    def rows(self, hits: Sequence[Hit], medium: Medium, first: int = 1) -> list[dict[str, Any]]:
        """Hits of one medium as an answer has them; the first has that rank."""
        rows = []
        for rank, hit in enumerate(hits, start=first):
            sure = {} if hit.probability is None else {"probability": hit.probability}
            sure |= {} if hit.csls is None else {"csls": hit.csls}
            rows.append({"rank": rank, "cosine": hit.cosine, **sure, **self.row(hit.item, medium)})
        return rows

    def row(self, item: Item, medium: Medium) -> dict[str, Any]:
        """What is known of an item, and under `pair` of the other half of its pair, which has the same id."""
        other: Medium = "text" if medium == "image" else "image"
        pair = self.item(other, item["id"])
        return self._known(item, medium) | ({} if pair is None else {"pair": self._known(pair, other)})

    def _known(self, item: Item, medium: Medium) -> dict[str, Any]:
        """What is known of an item, with an address for its picture or the reason why there is none."""
        known: dict[str, Any] = {"medium": medium} | {key: item[key] for key in TOLD if key in item}
        if medium == "text":
            return known
        address = self.picture(item)
        return known | ({"missing": self.pictures.missing(item)} if address is None else {"picture": address})

    def picture(self, item: Item) -> str | None:
        """The address of an image's picture; None where there is none to be seen."""
        number = self.pictures.number(item)
        return None if number is None else f"/pictures/{self.number}/{number}"


@dataclass(frozen=True)
class Places:
    """All that is served, in the order in which it was named. Searches run one at a time: each uses all cores that it
    may.
    """

    all: Sequence[Place]
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def named(self, name: str | None) -> Place:
        """One of them; the first where no name is given.

        Raises:
            UsageError: none is called so.
        """
        found = [place for place in self.all if name in (None, place.name)]
        if not found:
            raise UsageError(f"run: nothing that is served is called {shown(str(name))}")
        return found[0]

    async def find(self, what: Callable[[], Found]) -> Found:
        """The outcome of a search, in a thread of its own."""
        async with self.turn:
            return await run_in_threadpool(what)

    def told(self, error: Exception) -> str:
        """What an answer tells of an error: not where on this machine something lies."""
        said = str(error)
        for place in self.all:
            run = place.searcher.model.run_dir
            said = said.replace(f"{place.searcher.origin}: ", "").replace(str(run), run.name)
        return said


def names_of(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of paths that tell them apart; a path that comes again is numbered."""
    whole = [path.absolute() for path in paths]
    longest = max(len(path.parts) for path in whole)
    names: list[str] = []
    for path in whole:
        ends = [_end(path, parts) for parts in range(1, longest + 1)]
        alike = [{_end(other, parts) for other in {*whole} - {path}} for parts in range(1, longest + 1)]
        name = next(end for end, others in zip(ends, alike, strict=True) if end not in others)
        again = whole[: len(names)].count(path)
        names.append(f"{name} ({again + 1})" if again else name)
    return names


def _end(path: Path, parts: int) -> str:
    return Path(*path.parts[-parts:]).as_posix()
