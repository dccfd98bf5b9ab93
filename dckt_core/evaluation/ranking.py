"""Retrieval metrics: average precision over a ranking by cosine, in chunks of queries.

The ranking is by cosine, best first. Items of equal cosine keep the gallery's order, so that a figure never depends on
chance; equal vectors count as equal in cosine, and a zero vector has cosine 0 to everything. Relevant = same class.
With R relevant items, R_k of them among the first k:

    AP = (1/R) sum_k (R_k / k) rel_k, over the whole ranking; cut at k the sum ends there and R becomes min(R, k)
    precision@k = R_k / k, recall@k = R_k / R; in a gallery of fewer than k items k is its size
    interpolated precision at recall r = max over k with R_k / R >= r of R_k / k

A query with no relevant item has no AP. Its figures here are 0, never NaN, and `Ranking.relevant` tells it apart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.base.errors import DataError

CHUNK_ENTRIES = 2**20
"""Query-gallery pairs that a thread ranks at once where the caller does not say: 8 MiB for each array of them."""

BOOTSTRAP_DRAWS = 2000

BEHIND_ALL = -1.5
"""In the place of a cosine, of an item that is no candidate."""

JobT = TypeVar("JobT")
DoneT = TypeVar("DoneT")


@dataclass(frozen=True)
class AtK:
    """Figures of each query at a cut, [q] each, in [0, 1], float64."""

    ap: Tensor
    precision: Tensor
    recall: Tensor


@dataclass(frozen=True)
class Ranking:
    """Figures of each query, [q] each."""

    ap: Tensor
    """Over the whole ranking, in [0, 1], float64."""
    relevant: Tensor
    """How many relevant items the gallery holds, int64."""
    at: Mapping[int, AtK] = field(default_factory=dict)
    """At each cut k that was asked for."""
    curve: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.float64))
    """Interpolated precision at each level of recall that was asked for [q, levels], in [0, 1], float64."""


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
    ks = () if k is None else (k,)
    ranking = rank(queries, gallery, query_labels, gallery_labels, ks=ks, leave_out=leave_out, chunk=chunk)
    return ranking.ap if k is None else ranking.at[k].ap


@torch.no_grad()
def rank(
    queries: Tensor,
    gallery: Tensor,
    query_labels: Tensor,
    gallery_labels: Tensor,
    *,
    ks: Sequence[int] = (),
    levels: Sequence[float] = (),
    leave_out: Tensor | None = None,
    chunk: int | None = None,
) -> Ranking:
    """Ranks a gallery [g, c] for queries [q, c] and says how well. Memory is O(chunk x g).

    Args:
        query_labels: classes [q], int64.
        gallery_labels: classes [g], int64.
        ks: also AP, precision and recall at these cuts, each 1 or more.
        levels: also interpolated precision at these levels of recall, each in [0, 1].
        leave_out: gallery row [q] that is no candidate for each query (its own, within one medium), int64.
        chunk: queries ranked at once; None for as many as `CHUNK_ENTRIES` allows.

    Raises:
        DataError: a query or gallery row holds numbers that are not finite.
        ValueError: shapes that do not go together, a k < 1, or a level outside [0, 1].
    """
    if not all(0 <= level <= 1 for level in levels):
        raise ValueError(f"levels of recall must lie in [0, 1], not {list(levels)}")
    _check(queries, gallery, query_labels, gallery_labels, ks, leave_out)
    queries, gallery = (F.normalize(rows.double().cpu(), dim=1) for rows in (queries, gallery))
    query_labels, gallery_labels = query_labels.cpu(), gallery_labels.cpu()
    candidates = len(gallery) - (leave_out is not None)
    repeated, original = _repeated_rows(gallery)
    figures = torch.zeros(2 + 3 * len(ks) + len(levels), len(queries), dtype=torch.float64)

    def jobs() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for label in torch.unique(query_labels).tolist():
            matches = gallery_labels == label
            if candidates < 1 or not matches.any():
                continue
            for rows in torch.split((query_labels == label).nonzero().squeeze(1), chunk or _chunk(len(gallery))):
                cosine = queries[rows] @ gallery.T
                if len(repeated):
                    cosine[:, repeated] = cosine[:, original]
                if leave_out is not None:
                    cosine.scatter_(1, leave_out.cpu()[rows, None], BEHIND_ALL)
                yield rows, cosine, matches

    def work(job: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, cosine, matches = job
        return rows, _figures(_positions(cosine, matches), candidates, ks, levels)

    for rows, found in _in_threads(work, jobs()):
        figures[:, rows] = found
    ap, relevant, *cuts = figures
    at = {k: AtK(*cuts[3 * n : 3 * n + 3]) for n, k in enumerate(ks)}
    return Ranking(ap, relevant.long(), at, figures[2 + 3 * len(ks) :].T)


def _repeated_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of rows [n, c] that equal an earlier one, and of the earliest such: int64, both of one length.

    A matrix product may give equal rows values that differ in the last bits. Copied from one to the other, they tie
    exactly, and the stated order of ties holds.
    """
    number = torch.arange(len(rows))
    distinct, group = torch.unique(rows, dim=0, return_inverse=True)
    earliest = number.new_full((len(distinct),), len(rows)).scatter_reduce_(0, group, number, "amin")[group]
    repeated = (earliest != number).nonzero().squeeze(1)
    return repeated, earliest[repeated]


def _figures(positions: Tensor, candidates: int, ks: Sequence[int], levels: Sequence[float]) -> Tensor:
    """AP, R, then AP, precision and recall at each k, then precision at each level of recall, of rankings whose
    matches stand at `positions` [q, R], ascending.

    [2 + 3 len(ks) + len(levels), q].
    """
    present = positions <= candidates
    relevant = present.sum(dim=1).double()
    some = relevant.clamp_min(1)
    gains = torch.arange(1, positions.shape[1] + 1) / positions.double()
    figures = [(gains * present).sum(dim=1) / some, relevant]
    for k in ks:
        cut = min(k, candidates)
        near = positions <= cut
        found = near.sum(dim=1).double()
        figures += [(gains * near).sum(dim=1) / relevant.clamp(1, cut), found / cut, found / some]
    if levels:
        best = (gains * present).flip(1).cummax(dim=1).values.flip(1)  # from each match on
    for level in levels:
        # The first match by which the recall is reached; 0.7 * 10 is a little more than 7.
        match = (level * relevant - 1e-9).ceil().clamp_min(1).long() - 1
        figures.append(best.gather(1, match[:, None]).squeeze(1))
    return torch.stack(figures)


def _positions(cosine: Tensor, matches: Tensor) -> Tensor:
    """Positions, from 1, of the R matching gallery items [g] in the ranking of each query [q, g]: [q, R], ascending.

    Sorting values is faster than sorting indices, so each value takes along, as its last bit, whether it is a match.
    Only where a match and another item differ in nothing else does it matter who is who.
    """
    size = cosine.shape[1]
    tagged = (cosine.numpy() + 2).view(np.int64)  # of positive numbers, greater ones have greater bits
    tagged &= ~1
    tagged |= matches.numpy()
    tagged.sort(axis=1)
    row, place = np.divmod(np.flatnonzero((tagged & 1).astype(bool)), size)
    behind = tagged[row, np.maximum(place, 1) - 1]
    positions = torch.from_numpy(size - place).reshape(len(cosine), -1).flip(1)
    for mixed in np.unique(row[(behind ^ tagged[row, place]) == 1]).tolist():
        order = cosine[mixed].argsort(descending=True, stable=True)
        positions[mixed] = matches[order].nonzero().squeeze(1) + 1
    return positions


def _in_threads(work: Callable[[JobT], DoneT], jobs: Iterator[JobT]) -> Iterator[DoneT]:
    """What comes of each job, in order. Jobs are made here, one more of them than torch has threads, and worked at in
    those threads: numpy sorts on one core, and lets others do so meanwhile.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, jobs)
        return
    waiting: deque[Future[DoneT]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for job in jobs:
            waiting.append(pool.submit(work, job))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()


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
    ks: Sequence[int],
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
    if ks and min(ks) < 1:
        raise ValueError(f"k = {min(ks)} must be 1 or more")
    for name, rows in (("query", queries), ("gallery", gallery)):
        if not torch.isfinite(rows).all():
            bad = int((~torch.isfinite(rows).all(dim=1)).sum())
            raise DataError(f"{bad} of {len(rows)} {name} rows hold numbers that are not finite: they cannot be ranked")


def _shape(tensor: Tensor) -> Sequence[int]:
    return list(tensor.shape)
