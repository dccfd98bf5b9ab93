"""What stands at the head of a ranking: the classes that are taken for one another, and the first items by name."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.evaluation.cosines import Gallery, check_rows, chunk_size, codes, unit


@torch.no_grad()
def confusion(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, *, classes: int
) -> Tensor:
    """Among as many results as a query has relevant items, the mean share of each class: [C, C], float64.

    Rows are the queries' classes and add up to 1, or are 0 where no query of the class has a relevant item. The
    diagonal is the R-precision. Of items that tie for the last places each counts by its chance of one (`cosines`).

    Args:
        queries, gallery: representations [q, c] and [g, c].
        query_labels, gallery_labels: classes [q] and [g], int64, from 0 to `classes` - 1.

    Raises:
        DataError, ValueError: as `ranking.rank`.
    """
    aligned = {"query labels": (query_labels, queries), "gallery labels": (gallery_labels, gallery)}
    check_rows(queries, gallery, aligned)
    relevant = torch.bincount(gallery_labels, minlength=classes)[query_labels]
    kinds = F.one_hot(gallery_labels, classes).double()
    sums = torch.zeros(classes, classes, dtype=torch.float64)
    answerable = (relevant > 0).nonzero().squeeze(1)
    for rows, ranked in _chunks(queries[answerable], gallery):
        asked = answerable[rows]
        count = relevant[asked, None]
        last = ranked.sort(dim=1, descending=True).values.gather(1, count - 1)
        ahead, tied = (ranked > last).double(), (ranked == last).double()
        places = count - ahead.sum(dim=1, keepdim=True)  # that are left for those that tie for the last one
        weights = (ahead + tied * (places / tied.sum(dim=1, keepdim=True))) / count
        sums.index_add_(0, query_labels[asked], weights @ kinds)
    asked_of = torch.bincount(query_labels[answerable], minlength=classes)
    return sums / asked_of.clamp_min(1)[:, None]


@torch.no_grad()
def first_results(queries: Tensor, gallery: Tensor, k: int) -> Tensor:
    """Gallery rows [q, k] of each query's k best results, int64, best first; fewer columns in a smaller gallery.

    They are there to be shown, so one order of tied items is as good as any: that of the gallery.
    """
    check_rows(queries, gallery, {})
    tops = [ranked.argsort(dim=1, descending=True, stable=True)[:, :k] for _, ranked in _chunks(queries, gallery)]
    return torch.cat(tops) if tops else torch.empty(0, min(k, len(gallery)), dtype=torch.int64)


def _chunks(queries: Tensor, gallery: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers [n] of some queries and the codes [n, g] of the gallery's items for them."""
    queries, items = unit(queries), Gallery(unit(gallery))
    for rows in torch.split(torch.arange(len(queries)), chunk_size(len(items))):
        if len(rows):
            yield rows, torch.from_numpy(codes(items.cosines(queries[rows])))
