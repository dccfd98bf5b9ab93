"""Retrieval metrics: average precision over the whole ranking, in chunks of queries.

Ranking is by cosine, best first; items of equal cosine keep the gallery's order, so a figure never depends on chance.
Relevant = same class. With R relevant items, R_k of them among the first k: AP = (1/R) sum_k (R_k / k) rel_k. At a cut
k the sum runs to k and R becomes min(R, k).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 256
"""Queries ranked at once: memory is O(chunk x gallery)."""


@dataclass(frozen=True)
class Ranking:
    """Per-query figures, each [q], float64. Where a query has no relevant item they are 0 and `relevant` says so."""

    ap: Tensor
    precision: Tensor
    recall: Tensor
    relevant: Tensor
    """How many relevant items the gallery holds for each query, int64."""


def average_precisions(
    queries: Tensor, gallery: Tensor, query_labels: Tensor, gallery_labels: Tensor, *, chunk: int = CHUNK
) -> Tensor:
    """AP over the whole ranking [q], float64; 0 for a query with no relevant item."""
    return rank(queries, gallery, query_labels, gallery_labels, chunk=chunk).ap


def rank(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    k: int | None = None,
    leave_out: Tensor | None = None,
    chunk: int = CHUNK,
) -> Ranking:
    """Ranks a gallery [g, c] for queries [q, c] and says how well, chunk by chunk.

    Args:
        k: the cut of AP, precision and recall; None for the whole ranking.
        leave_out: gallery row [q] that is no candidate for each query (its own, within one medium).
    """
    size = len(gallery) - (leave_out is not None)
    cut = size if k is None else min(k, size)
    unit = F.normalize(gallery.double(), dim=1)
    depth = torch.arange(1, cut + 1, dtype=torch.float64, device=gallery.device)
    parts: list[tuple[Tensor, ...]] = []
    for start in range(0, len(queries), chunk):
        rows = slice(start, start + chunk)
        cosine = F.normalize(queries[rows].double(), dim=1) @ unit.T
        matches = gallery_labels == query_labels[rows, None]
        if leave_out is not None:
            own = leave_out[rows, None]
            cosine.scatter_(1, own, -torch.inf)  # sorts last, and the cut ends before it
            matches.scatter_(1, own, False)
        order = cosine.argsort(dim=1, descending=True, stable=True)[:, :cut]
        hits = matches.gather(1, order).double()
        relevant = matches.sum(dim=1)
        found = hits.cumsum(dim=1)
        ap = (found / depth * hits).sum(dim=1) / relevant.clamp(1, max(cut, 1))
        total = hits.sum(dim=1)
        parts.append((ap, total / max(cut, 1), total / relevant.clamp_min(1), relevant))
    if not parts:
        nothing = torch.zeros(0, dtype=torch.float64)
        return Ranking(nothing, nothing, nothing, torch.zeros(0, dtype=torch.int64))
    return Ranking(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def chance_ap(relevant: Tensor, gallery: int) -> Tensor:
    """Expected AP [q] of a random ranking of a gallery in which each query has `relevant` [q] items.

    Given that position k holds a relevant item, which has probability R/N, each of the k-1 before it is relevant with
    probability (R-1)/(N-1). So E[AP] = (1/N) sum_k (1 + (k-1)(R-1)/(N-1)) / k
    = (H_N + (R-1)/(N-1) (N - H_N)) / N, with H_N the N-th harmonic number; 0 where nothing is relevant.
    """
    n = gallery
    if n == 0:
        return torch.zeros(relevant.shape, dtype=torch.float64)
    harmonic = float((1 / torch.arange(1, n + 1, dtype=torch.float64)).sum())
    share = (relevant.double() - 1) / max(n - 1, 1)
    return torch.where(relevant > 0, (harmonic + share * (n - harmonic)) / n, 0.0)


def bootstrap_interval(
    values: Tensor, generator: torch.Generator, *, draws: int = 2000, coverage: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of per-query values [q] or [q, ...] (rows are resampled).

    With further dimensions the values of a row are averaged, so that a pair's image and text stay together.
    """
    rows = values.double().reshape(len(values), -1).mean(dim=1)
    picks = torch.randint(len(rows), (draws, len(rows)), generator=generator)
    means = rows[picks].mean(dim=1)
    tail = (1 - coverage) / 2
    low, high = torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return low, high
