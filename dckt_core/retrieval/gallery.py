"""The items of one medium, and the index that finds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import ArgumentError, DataError, PluginError, UsageError
from dckt_core.base.html import escape
from dckt_core.contract.discovery import Registry, blame
from dckt_core.contract.guards import INDEX_METHODS, require_methods
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import Index, IndexContext
from dckt_core.contract.registry import Registered
from dckt_core.data.metadata import as_words, check_metadata
from dckt_core.io.images import as_data_uri
from dckt_core.io.json import read_lines, write_lines
from dckt_core.retrieval.shards import ITEMS

VECTORS = "vectors"
SIDE = 128
"""Pixels of a picture's longer side in a notebook."""

Item = Mapping[str, Any]
"""What is known of an item: its `id`; `image` (a path) or `text`, `label` and `split`, all texts, where they are known;
`metadata`, an object as `Pair` has it, where there is any."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that was found.

    Attributes:
        cosine: in [-1, 1].
        probability: that it is what was looked for, in (0, 1): of the query's class or, where the run knew no labels,
            its partner. None where the run has no calibration, for an item of the query's own medium, and for a query
            that is joined of several or expanded.
        csls: what ranked it where hubs are held back, in [-4, 4]; else None.
    """

    item: Item
    cosine: float
    probability: float | None = None
    csls: float | None = None

    @property
    def id(self) -> str:
        name: str = self.item["id"]
        return name


class Hits(list[Hit]):
    """What was found for one query, best first. A notebook shows its pictures and texts."""

    def __repr__(self) -> str:
        return f"Hits({', '.join(f'{hit.id!r} {hit.cosine:.3f}' for hit in self)})"

    def _repr_html_(self) -> str:
        cells = []
        for hit in self:
            known = [hit.item[key] for key in ("text", "label") if key in hit.item]
            lines = [*known, f"{hit.cosine:.3f}", hit.id]
            lines += [as_words(hit.item["metadata"])] if "metadata" in hit.item else []
            caption = f"<figcaption>{'<br>'.join(map(escape, lines))}</figcaption>"
            cells.append(f'<figure style="margin:0;width:{SIDE}px">{_picture(hit.item)}{caption}</figure>')
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px;overflow-wrap:anywhere">{"".join(cells)}</div>'


def _picture(item: Item) -> str:
    """The picture of an item, small, within the page; nothing where there is none that can be shown."""
    if "image" not in item:
        return ""
    try:
        address = as_data_uri(Path(item["image"]), SIDE)
    except DataError:
        return ""
    return f'<img src="{address}" alt="{escape(item.get("label", item["id"]))}">'


class Gallery:
    """Items of one medium in the order in which they came, and their vectors in an index."""

    def __init__(self, medium: Medium, plugin: Registered, options: Any, context: IndexContext) -> None:
        self.medium = medium
        self.items: dict[str, Item] = {}
        self._plugin = plugin
        self._given: tuple[dict[str, int], Tensor] | None = None
        with blame(plugin):
            self._index: Index = plugin.spec.build(options, context)
            require_methods("an index", self._index, *INDEX_METHODS)

    def __len__(self) -> int:
        return len(self.items)

    def add(self, items: Sequence[Item], rows: Tensor) -> None:
        """Adds items with their rows [n, dim]; one whose id is there already takes the other's place."""
        with blame(self._plugin):
            self._index.add([item["id"] for item in items], rows)
        self._given = None
        self.items.update({item["id"]: item for item in items})

    def remove(self, ids: Iterable[str]) -> None:
        """Takes items out.

        Raises:
            UsageError: an id is not there; then all stay.
        """
        gone = list(dict.fromkeys(ids))
        for id_ in gone:
            if id_ not in self.items:
                raise UsageError(f"no {self.medium} has the id '{id_}'")
        with blame(self._plugin):
            self._index.remove(gone)
        self._given = None
        for id_ in gone:
            del self.items[id_]

    def search(self, queries: Tensor, k: int) -> list[Hits]:
        """The min(k, size) nearest items of each query [q, dim], best first.

        Raises:
            ArgumentError: k is no whole number from 1.
        """
        if not isinstance(k, int) or isinstance(k, bool) or k < 1:
            raise ArgumentError(f"k: {k!r} is no whole number from 1")
        with blame(self._plugin):
            ids, cosines = self._index.search(queries, k)
            strangers = {id_ for found in ids for id_ in found} - self.items.keys()
            if strangers:
                raise PluginError(f"search found '{min(strangers)}', which was never added")
        rows = zip(ids, cosines.tolist(), strict=True)
        return [Hits(Hit(self.items[id_], cosine) for id_, cosine in zip(*row, strict=True)) for row in rows]

    def stored(self) -> tuple[list[Item], Tensor]:
        """All items and their vectors [n, dim], of unit length.

        Raises:
            UsageError: the index does not give its vectors.
        """
        with blame(self._plugin):
            give = getattr(self._index, "stored", None)
            if not callable(give):
                raise UsageError(f"index '{self._plugin.name}' does not give its vectors")
            ids, vectors = give()
            return [self.items[id_] for id_ in ids], vectors

    def vectors(self, ids: Sequence[str]) -> Tensor:
        """The vectors [n, dim] of items by id, of unit length; raises as `stored`."""
        if self._given is None:
            items, vectors = self.stored()
            self._given = {item["id"]: row for row, item in enumerate(items)}, vectors
        rows, vectors = self._given
        return vectors[torch.tensor([rows[id_] for id_ in ids], dtype=torch.int64)]

    def save(self, folder: Path) -> None:
        """Writes itself into a folder, which is made: the items, and what the index writes."""
        (folder / VECTORS).mkdir(parents=True)
        with blame(self._plugin):
            self._index.save(folder / VECTORS)
        write_lines(folder / ITEMS, self.items.values())

    def load(self, folder: Path) -> None:
        """Takes the place of what is here.

        Raises:
            DataError: something is missing or broken, or the items are not those of the vectors.
        """
        with blame(self._plugin):
            self._index.load(folder / VECTORS)
            self._given = None
            size = len(self._index)
        self.items = _read_items(folder / ITEMS, self.medium)
        if size != len(self.items):
            raise DataError(f"{folder}: {ITEMS} tells of {len(self.items)} items, and the index holds {size}")


def new_gallery(
    medium: Medium, index: str, options: Mapping[str, Any], context: IndexContext, registry: Registry
) -> Gallery:
    """An empty gallery whose vectors go into an index plugin by name, with these options.

    Raises:
        UsageError: the plugin, or one of its options, is not there.
    """
    plugin = registry.find("index", index)
    return Gallery(medium, plugin, parse_options(plugin.spec, options, where=f"index '{index}'"), context)


def _read_items(file: Path, medium: Medium) -> dict[str, Item]:
    what = f"{'an image' if medium == 'image' else 'a text'} with an id"
    other = "text" if medium == "image" else "image"
    items: dict[str, Item] = {}
    for number, item in enumerate(read_lines(file, what), start=1):
        texts = [value for key, value in item.items() if key != "metadata"]
        if not ("id" in item and other not in item and all(isinstance(value, str) for value in texts)):
            raise DataError(f"{file}:{number}: not {what}")
        try:
            check_metadata(item.get("metadata", {}))
        except ValueError as error:
            raise DataError(f"{file}:{number}: {error}") from None
        items[item["id"]] = item
    return items
