"""Queries with their first results, from the best to the worst, so that nobody chose the nice ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dckt_apps.report.pictures import Picture, embed
from dckt_core.contract.pairs import Medium, Pair
from dckt_core.data.metadata import as_words

QUERIES = 6
RESULTS = 5


@dataclass(frozen=True)
class Item:
    """An image or a text: `picture` or `text` is there; `besides` is its metadata in words."""

    id: str
    label: str
    picture: Picture | None
    text: str | None
    besides: str = ""


@dataclass(frozen=True)
class Result:
    """One place of a ranking.

    Attributes:
        hit: whether it is relevant: of the query's class, or, where there are no labels, its partner.
        own: whether it is a partner of the query: makes a pair with it.
    """

    rank: int
    item: Item
    hit: bool
    own: bool


@dataclass(frozen=True)
class Query:
    """A query with its first results."""

    item: Item
    ap: float
    place: int
    """In the order of all queries by AP, from 1."""
    results: list[Result]


def example_queries(
    medium: Medium,
    pairs: Sequence[Pair],
    rows: Tensor,
    aps: Tensor,
    top: Tensor,
    *,
    relevant: Tensor,
    partners: Tensor,
    count: int = QUERIES,
) -> list[Query]:
    """Queries at evenly spaced places of their order by AP, the best one first and the worst one last.

    Args:
        medium: of the queries; the gallery is the other medium of the same pairs.
        rows: of the pairs that were asked [q].
        aps: of each of them [q].
        top: rows of its first results among the pairs [q, k], best first.
        relevant, partners: numbers [N] that pairs share whose items are relevant to one another's queries, or partners.
    """
    order = aps.argsort(descending=True, stable=True).tolist()
    places = torch.linspace(0, len(order) - 1, min(count, len(order)), dtype=torch.float64).round().int().tolist()
    other: Medium = "text" if medium == "image" else "image"
    queries = []
    for place in places:
        asked = int(rows[order[place]])
        results = [
            Result(
                rank,
                _item(other, pairs[row]),
                hit=bool(relevant[row] == relevant[asked]),
                own=bool(partners[row] == partners[asked]),
            )
            for rank, row in enumerate(top[order[place]].tolist(), start=1)
        ]
        queries.append(Query(_item(medium, pairs[asked]), float(aps[order[place]]), place + 1, results))
    return queries


def _item(medium: Medium, pair: Pair) -> Item:
    if medium == "image":
        return Item(pair.id, pair.label or "", embed(pair.image_item.path), None, as_words(pair.metadata))
    return Item(pair.id, pair.label or "", None, pair.text, as_words(pair.metadata))
