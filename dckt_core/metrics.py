"""Retrieval metrics: average precision over a ranking by cosine, in chunks of queries.

The ranking is by cosine, best first. Items of equal cosine keep the gallery's order, so that a figure never depends on
chance; equal vectors count as equal in cosine, and a zero vector has cosine 0 to everything. Relevant = same class.
With R relevant items, R_k of them among the first k:

    AP = (1/R) sum_k (R_k / k) rel_k, over the whole ranking; cut at k the sum ends there and R becomes min(R, k)
    precision@k = R_k / k, recall@k = R_k / R; in a gallery of fewer than k items k is its size

A query with no relevant item has no AP. Its figures here are 0, never NaN, and `Ranking.relevant` tells it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.errors import DataError

CHUNK_ENTRIES = 2**22
"""Query-gallery pairs ranked at once where the caller does not say: 32 MiB for each float64 array of them."""

BOOTSTRAP_DRAWS = 2000


@dataclass(frozen=True)
class Ranking:
    """Figures of each query, [q] each; those at k are None where no k was asked for."""

    ap: Tensor
    """Over the whole ranking, in [0, 1], float64."""
    relevant: Tensor
    """How many relevant items the gallery holds, int64."""
    ap_at_k: Tensor | None = None
    precision_at_k: Tensor | None = None
    recall_at_k: Tensor | None = None


def average_precisions(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    k: int | None = None,
    leave_out: Tensor | None = None,
    chunk: int | None = None,
) -> Tensor:
    """AP of each query [q], at k where there is one; 0 for a query with no relevant item. Arguments as `rank`."""
    ranking = rank(queries, gallery, query_labels, gallery_labels, k=k, leave_out=leave_out, chunk=chunk)
    return ranking.ap if ranking.ap_at_k is None else ranking.ap_at_k


@torch.no_grad()
def rank(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    k: int | None = None,
    leave_out: Tensor | None = None,
    chunk: int | None = None,
) -> Ranking:
    """Ranks a gallery [g, c] for queries [q, c] and says how well. Memory is O(chunk x g).

    Args:
        query_labels: classes [q], int64.
        gallery_labels: classes [g], int64.
        k: also AP, precision and recall at this cut, 1 or more.
        leave_out: gallery row [q] that is no candidate for each query (its own, within one medium), int64.
        chunk: queries ranked at once; None for as many as `CHUNK_ENTRIES` allows.

    Raises:
        DataError: a query or gallery row holds numbers that are not finite.
        ValueError: shapes that do not go together, or k < 1.
    """
    _check(queries, gallery, query_labels, gallery_labels, k, leave_out)
    queries, gallery = (F.normalize(rows.double().cpu(), dim=1) for rows in (queries, gallery))
    query_labels, gallery_labels = query_labels.cpu(), gallery_labels.cpu()
    candidates = len(gallery) - (leave_out is not None)
    # A matrix product may give equal rows cosines that differ in the last bits. Each different vector is compared
    # once, so that equal vectors tie exactly and the stated order of ties holds.
    vectors, place = torch.unique(gallery, dim=0, return_inverse=True)
    figures = torch.zeros(5, len(queries), dtype=torch.float64)
    for label in torch.unique(query_labels).tolist():
        matches = gallery_labels == label
        if candidates < 1 or not matches.any():
            continue
        for rows in torch.split((query_labels == label).nonzero().squeeze(1), chunk or _chunk(len(gallery))):
            cosine = (queries[rows] @ vectors.T)[:, place]
            if leave_out is not None:
                cosine.scatter_(1, leave_out.cpu()[rows, None], -torch.inf)  # goes last, behind all candidates
            figures[:, rows] = _figures(_positions(cosine, matches), candidates, k)
    ap, relevant, *at_k = figures
    return Ranking(ap, relevant.long(), *(at_k if k is not None else ()))


def _figures(positions: Tensor, candidates: int, k: int | None) -> Tensor:
    """AP, R, AP@k, precision@k and recall@k [5, q] of rankings whose matches stand at `positions` [q, R], ascending."""
    present = positions <= candidates
    cut = candidates if k is None else min(k, candidates)
    near = positions <= cut
    relevant, total = present.sum(dim=1).double(), near.sum(dim=1).double()
    gains = torch.arange(1, positions.shape[1] + 1) / positions.double()
    ap, ap_at_k = (gains * present).sum(dim=1), (gains * near).sum(dim=1)
    some = relevant.clamp_min(1)
    return torch.stack([ap / some, relevant, ap_at_k / relevant.clamp(1, cut), total / cut, total / some])


def _positions(cosine: Tensor, matches: Tensor) -> Tensor:
    """Positions, from 1, of the R matching gallery items [g] in the ranking of each query [q, g]: [q, R], ascending.

    Sorting values is several times faster than sorting indices, and tells how many items lie above each match. Only a
    tie of matches with others needs to know who is who.
    """
    own = cosine[:, matches].sort(dim=1).values
    ranked = torch.from_numpy(np.sort(cosine.numpy(), axis=1))
    up_to, own_up_to = torch.searchsorted(ranked, own, right=True), torch.searchsorted(own, own, right=True)
    others_above = (cosine.shape[1] - up_to) - (own.shape[1] - own_up_to)
    positions = others_above.flip(1) + torch.arange(1, own.shape[1] + 1)
    tied = up_to - torch.searchsorted(ranked, own), own_up_to - torch.searchsorted(own, own)
    mixed = (tied[0] != tied[1]).any(dim=1)
    if mixed.any():
        order = cosine[mixed].argsort(dim=1, descending=True, stable=True)
        positions[mixed] = matches[order].nonzero()[:, 1].reshape(-1, own.shape[1]) + 1
    return positions


def _chunk(gallery: int) -> int:
    return max(1, CHUNK_ENTRIES // gallery)


def chance_ap(relevant: Tensor, gallery: int, *, k: int | None = None, first: int = 0) -> Tensor:
    """Expected AP [q], float64, of a random ranking of `gallery` items of which `relevant` [q] are relevant.

    Of the N items, f = `first` are relevant ones that lead every ranking (1 where the query finds itself). Behind
    them lie n = N - f items, r = R - f of them relevant, in random order. Position i > f holds a relevant one with
    probability r/n, and then each of the i-1-f between has been one with probability (r-1)/(n-1). So with a cut at k

        min(R, k) E[AP] = f + (r/n) sum_{i=f+1..k} (1 + f + (i-1-f) (r-1)/(n-1)) / i.

    0 where nothing is relevant.
    """
    n, cut = gallery - first, gallery if k is None else min(k, gallery)
    place = torch.arange(first + 1, cut + 1, dtype=torch.float64)
    sure = float(((1 + first) / place).sum())
    between = float(((place - 1 - first) / place).sum())
    r = relevant.double() - first
    expected = first + r / max(n, 1) * (sure + between * (r - 1) / max(n - 1, 1))
    return torch.where(relevant > 0, expected / relevant.clamp(1, max(cut, 1)), 0.0)


def chance_map(query_labels: Tensor, gallery_labels: Tensor) -> float:
    """Expected mAP of random rankings, over the queries [q] that have a relevant item in the gallery [g]; else 0."""
    classes, counts = torch.unique(gallery_labels, return_counts=True)
    relevant = ((query_labels[:, None] == classes) * counts).sum(dim=1)
    answerable = relevant[relevant > 0]
    return float(chance_ap(answerable, len(gallery_labels)).mean()) if len(answerable) else 0.0


def bootstrap_interval(
    values: Tensor, generator: torch.Generator, *, draws: int = BOOTSTRAP_DRAWS, coverage: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-query values [q] or [q, ...] (rows are resampled).

    With further dimensions the values of a row are averaged, so that a pair's image and text stay together.

    Raises:
        ValueError: there are no values.
    """
    if len(values) == 0:
        raise ValueError("no interval without values")
    rows = values.double().reshape(len(values), -1).mean(dim=1).cpu()
    count = len(rows)
    means = torch.empty(draws, dtype=torch.float64)
    step = max(1, CHUNK_ENTRIES // count)
    for start in range(0, draws, step):
        part = means[start : start + step]
        part[:] = rows[torch.randint(count, (len(part), count), generator=generator)].mean(dim=1)
    tail = (1 - coverage) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high


def _check(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    k: int | None,
    leave_out: Tensor | None,
) -> None:
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"queries {_shape(queries)} and gallery {_shape(gallery)} must be matrices of one width")
    aligned = [("query labels", query_labels, queries), ("gallery labels", gallery_labels, gallery)]
    if leave_out is not None:
        aligned.append(("rows to leave out", leave_out, queries))
    for name, numbers, rows in aligned:
        if numbers.shape != rows.shape[:1]:
            raise ValueError(f"{name} {_shape(numbers)} must be one for each of {len(rows)} rows")
    if k is not None and k < 1:
        raise ValueError(f"k = {k} must be 1 or more")
    for name, rows in (("query", queries), ("gallery", gallery)):
        if not torch.isfinite(rows).all():
            bad = int((~torch.isfinite(rows).all(dim=1)).sum())
            raise DataError(f"{bad} of {len(rows)} {name} rows hold numbers that are not finite: they cannot be ranked")


def _shape(tensor: Tensor) -> Sequence[int]:
    return list(tensor.shape)
