"""Queries of whatever kind to rows of the common space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.retrieval.gallery import Gallery
from dckt_core.retrieval.query import Joined, Query, parts
from dckt_core.runs.model import TrainedModel


def encode(queries: Sequence[Query | Joined], model: TrainedModel, galleries: Mapping[Medium, Gallery]) -> Tensor:
    """Common representations [q, D] of queries; texts are encoded together, and so are images.

    Args:
        galleries: where items lie that are queries themselves.

    Raises:
        ArgumentError: features are no rows of the run's frozen encoder, or joined queries cancel each other out.
        DataError: an image cannot be read.
        UsageError: an index does not give its vectors.
    """
    ones = [one for query in queries for one in parts(query)]
    rows = torch.empty(len(ones), model.dim)

    def put(how: Callable[[list[Any]], Tensor], asked: Mapping[int, Any]) -> None:
        if asked:
            rows[list(asked)] = how(list(asked.values()))

    put(model.encode_texts, {n: one.text for n, one in enumerate(ones) if one.text is not None})
    put(model.encode_images, {n: one.image for n, one in enumerate(ones) if one.image is not None})
    of_rows = {"image": model.encode_images, "text": model.encode_texts}
    for of in MEDIA:
        mine = [(n, one) for n, one in enumerate(ones) if one.medium == of]
        features = {n: one.features for n, one in mine if one.features is not None}
        if features:
            rows[list(features)] = of_rows[of](torch.stack(list(features.values())))
        like = {n: one.like for n, one in mine if one.like is not None}
        if like:
            rows[list(like)] = galleries[of].vectors(list(like.values()))
    if not any(isinstance(query, Joined) for query in queries):
        return rows
    pieces = torch.split(rows, [len(parts(query)) for query in queries])
    told = zip(queries, pieces, strict=True)
    return torch.stack([query.row(some) if isinstance(query, Joined) else some[0].double() for query, some in told])
