"""What a report tells of rankings: precision at each recall, which classes are taken for which, the first results.

Rankings are by cosine, best first; equal cosines keep the gallery's order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.evaluation.ranking import CHUNK_ENTRIES

RECALLS = torch.linspace(0, 1, 21, dtype=torch.float64)
"""Recall levels of a precision-recall curve."""


@dataclass(frozen=True)
class Results:
    """What the rankings of q queries come to.

    Attributes:
        precision: mean over the queries of the interpolated precision at each of `RECALLS` [21], float64.
        confusion: among as many results as a query has relevant items, the mean share of each class [C, C], float64;
            rows are the queries' classes and add up to 1, or are 0 where a class has no query. The diagonal is the
            R-precision.
        top: gallery rows of each query's first results [q, k], int64, best first.
    """

    precision: Tensor
    confusion: Tensor
    top: Tensor


def results(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, *, classes: int, k: int
) -> Results:
    """Ranks a gallery [g, d] for queries [q, d].

    A query without a relevant item counts in neither mean. Interpolated precision at recall r is the highest precision
    at any recall of r or more (Manning et al., 2008, section 8.4).

    Args:
        query_labels, gallery_labels: classes [q] and [g], int64, below `classes`.
        k: how many results to name; fewer where the gallery is smaller.
    """
    precision, answered = torch.zeros_like(RECALLS), 0
    counts = torch.zeros(classes, classes, dtype=torch.float64)
    top = []
    for rows, order in _rankings(queries, gallery):
        top.append(order[:, :k])
        relevant = gallery_labels[order] == query_labels[rows, None]
        total = relevant.sum(dim=1)
        some = total > 0
        if not some.any():
            continue
        relevant, order, total, asked = relevant[some], order[some], total[some], query_labels[rows][some]
        precision += _interpolated(relevant, total).sum(dim=0)
        answered += len(total)
        places = torch.arange(order.shape[1])
        shares = (places < total[:, None]) / total[:, None].double()
        cell = asked[:, None] * classes + gallery_labels[order]
        counts.view(-1).index_add_(0, cell.flatten(), shares.flatten())
    mass = counts.sum(dim=1, keepdim=True)
    return Results(precision / max(answered, 1), counts / mass.where(mass > 0, torch.ones_like(mass)), torch.cat(top))


def _rankings(queries: Tensor, gallery: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Numbers of queries and their rankings [n, g], in chunks."""
    queries, gallery = F.normalize(queries.double(), dim=1), F.normalize(gallery.double(), dim=1)
    step = max(1, CHUNK_ENTRIES // max(len(gallery), 1))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        yield rows, (queries[rows] @ gallery.T).argsort(dim=1, descending=True, stable=True)


def _interpolated(relevant: Tensor, total: Tensor) -> Tensor:
    """Interpolated precision [q, 21] of rankings whose relevant places are marked [q, g]."""
    found = relevant.cumsum(dim=1).double()
    precision = found / torch.arange(1, relevant.shape[1] + 1)
    best_from_here = precision.flip(1).cummax(dim=1).values.flip(1)
    needed = (RECALLS * total[:, None]).sub(1e-9).ceil().clamp_min(0)  # relevant results that make up a recall
    place = torch.searchsorted(found.contiguous(), needed.contiguous())
    return best_from_here.gather(1, place)


def largest_confusions(confusion: Tensor, count: int) -> list[tuple[int, int, float]]:
    """The `count` largest cells off the diagonal of a matrix [C, C]: query's class, result's class, share."""
    off = confusion * (1 - torch.eye(len(confusion), dtype=confusion.dtype))
    values, cells = off.flatten().sort(descending=True, stable=True)
    size = len(confusion)
    pairs = zip(cells.tolist(), values.tolist(), strict=True)
    return [(cell // size, cell % size, value) for cell, value in pairs if value > 0][:count]
