"""Queries with their first results, chosen by rule, so that nobody chose the nice ones: the best, the median and the
worst of the result, and those that it and another representation, such as the control, differ about most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dckt_apps.report.pictures import Picture, embed
from dckt_core.contract.pairs import Medium, Pair
from dckt_core.data.metadata import as_words, with_captions

RESULTS = 5
FEWER = 3
"""Results of the other representation that are shown beside."""


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
class Answered:
    """What one representation makes of the queries.

    Attributes:
        aps: of each query [q].
        top: rows of its first results among the pairs [q, k], best first.
    """

    aps: Tensor
    top: Tensor


@dataclass(frozen=True)
class Query:
    """A query with its first results.

    Attributes:
        why: it is shown: `the best`, ...
        place: in the order of all queries by AP, from 1.
        others: the first results of the other representation; empty where there is none, and `other_ap` is None.
    """

    why: str
    item: Item
    ap: float
    place: int
    results: list[Result]
    others: list[Result]
    other_ap: float | None


def example_queries(
    medium: Medium,
    pairs: Sequence[Pair],
    rows: Tensor,
    result: Answered,
    other: Answered | None,
    *,
    relevant: Tensor,
    partners: Tensor,
) -> list[Query]:
    """The best query, the median one and the worst by AP; then the one that the result gains most at over the other
    representation, and the one that it loses most at. No query comes twice.

    Args:
        medium: of the queries; the gallery is the other medium of the same pairs.
        rows: of the pairs that were asked [q].
        relevant, partners: numbers [N] that pairs share whose items are relevant to one another's queries, or partners.
    """
    order = result.aps.argsort(descending=True, stable=True).tolist()
    chosen = {order[0]: "the best"}
    chosen.setdefault(order[-1], "the worst")
    chosen.setdefault(order[(len(order) - 1) // 2], "the median")
    chosen = {row: chosen[row] for row in order if row in chosen}
    if other is not None:
        gains = result.aps - other.aps
        for row, why in ((int(gains.argmax()), "wins most"), (int(gains.argmin()), "loses most")):
            if (gains[row] > 0) == (why == "wins most") and gains[row] != 0:
                chosen.setdefault(row, why)
    found: Medium = "text" if medium == "image" else "image"

    def results(asked: int, top: Tensor) -> list[Result]:
        return [
            Result(
                rank,
                _item(found, pairs[row]),
                hit=bool(relevant[row] == relevant[asked]),
                own=bool(partners[row] == partners[asked]),
            )
            for rank, row in enumerate(top.tolist(), start=1)
        ]

    return [
        Query(
            why=why,
            item=_item(medium, pairs[int(rows[row])]),
            ap=float(result.aps[row]),
            place=order.index(row) + 1,
            results=results(int(rows[row]), result.top[row]),
            others=results(int(rows[row]), other.top[row][:FEWER]) if other is not None else [],
            other_ap=float(other.aps[row]) if other is not None else None,
        )
        for row, why in chosen.items()
    ]


def _item(medium: Medium, pair: Pair) -> Item:
    if medium == "image":
        return Item(
            pair.id,
            pair.label or "",
            embed(pair.image_item.path),
            None,
            as_words(with_captions(pair.metadata, pair.captions)),
        )
    return Item(pair.id, pair.label or "", None, pair.text, as_words(pair.metadata))
