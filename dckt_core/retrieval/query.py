"""What is looked for: one query, or several joined into one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from dckt_core.base.errors import ArgumentError, UsageError
from dckt_core.contract.pairs import Medium

EMPTY = "the text to look for is empty"


@dataclass(frozen=True)
class Query:
    """A text, the image in a file, features of either, or an item that is searched itself.

    Attributes:
        features: a row [d]; `name` is what it is called in its file.
        like: the id of an item.
        of: what the features, or the item, are.
    """

    text: str | None = None
    image: Path | None = None
    features: Tensor | None = None
    like: str | None = None
    name: str = ""
    of: Medium = "text"

    def __post_init__(self) -> None:
        """Raises UsageError for an empty text."""
        if self.text is not None and not self.text.strip():
            raise UsageError(EMPTY)

    @property
    def medium(self) -> Medium:
        """What it is, or is of."""
        if self.features is not None or self.like is not None:
            return self.of
        return "text" if self.text is not None else "image"

    @property
    def title(self) -> str:
        """What people call it."""
        return next(str(one) for one in (self.name or None, self.text, self.like, self.image) if one is not None)

    def as_json(self) -> dict[str, str]:
        if self.features is not None:
            return {"features": self.name, "of": self.of}
        if self.like is not None:
            return {"like": self.like, "of": self.of}
        return {"text": self.text} if self.text is not None else {"image": str(self.image)}


@dataclass(frozen=True)
class Joined:
    """Queries that are one together: the sum of their representations, each of unit length, by weights.

    An item's inner product with a sum is the sum of its inner products, so that this ranks by the weighted mean of the
    cosines to each. A negative weight looks away from a query.

    Attributes:
        weights: one for each, finite and none of them 0; only their ratios matter.
    """

    queries: tuple[Query, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raises ArgumentError for weights that are none."""
        if not self.queries:
            raise ArgumentError("queries: none to join")
        if len(self.weights) != len(self.queries):
            raise ArgumentError(f"weights: {len(self.weights)} for {len(self.queries)} queries")
        for weight in self.weights:
            if not math.isfinite(weight) or weight == 0:
                raise ArgumentError(f"weights: {weight:g} is no finite number other than 0")

    @property
    def title(self) -> str:
        """What people call it."""
        ones = zip(self.queries, self.weights, strict=True)
        return " + ".join(query.title if weight == 1 else f"{weight:g} {query.title}" for query, weight in ones)

    def as_json(self) -> dict[str, Any]:
        return {"joined": [query.as_json() for query in self.queries], "weights": list(self.weights)}

    def row(self, rows: Tensor) -> Tensor:
        """The common representations [n, D] of its queries as one, [D] of unit length, float64.

        Raises:
            ArgumentError: they cancel each other out.
        """
        scale = max(map(abs, self.weights))
        weights = rows.new_tensor([weight / scale for weight in self.weights], dtype=rows.double().dtype)
        total = weights @ F.normalize(rows.double(), dim=1)
        # What rounding in float32 leaves of rows that should add up to nothing.
        if total.norm() <= 1e-6 * float(weights.abs().sum()):
            raise ArgumentError("weights: the queries cancel each other out, so that nothing is looked for")
        return F.normalize(total, dim=0)


def join(queries: Sequence[Query], weights: Sequence[float] = ()) -> Query | Joined:
    """Queries as one.

    Args:
        weights: one for each; none for 1 each.

    Raises:
        UsageError: there is no query, weights that are no finite numbers other than 0, or a weight for a single query.
    """
    if not queries:
        raise UsageError("there is nothing to look for")
    if len(queries) == 1 and weights:
        raise UsageError("a weight goes with two queries or more that are one together")
    return queries[0] if len(queries) == 1 else Joined(tuple(queries), tuple(weights or [1.0] * len(queries)))


def parts(query: Query | Joined) -> tuple[Query, ...]:
    """The queries that a query is made of, itself where it is one."""
    return query.queries if isinstance(query, Joined) else (query,)


def wanted_by(queries: Sequence[Query]) -> Medium:
    """What queries find where nobody says: a text images and an image texts; both together images; items that are
    searched themselves what they are.
    """
    media = {query.medium for query in queries}
    if len(media) > 1:
        return "image"
    (medium,) = media
    if all(query.like is not None for query in queries):
        return medium
    return "image" if medium == "text" else "text"
