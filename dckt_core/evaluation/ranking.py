"""Average precision, precision and recall over a ranking by cosine, where relevant = same class.

With R relevant items, R_k of them among the first k:

    AP = (1/R) sum_k (R_k / k) rel_k, over the whole ranking; cut at k the sum ends there and R becomes min(R, k)
    precision@k = R_k / k, recall@k = R_k / R; in a gallery of fewer than k items k is its size
    interpolated precision at recall r = max over k with R_k / R >= r of R_k / k

Items that tie (see `cosines`) have no order, so each figure is its expectation over all orders of tied items
(McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied scores",
ECIR 2008). Behind N items with R relevant ones among them, let n items tie, r of them relevant. The j-th of them is
relevant with probability r/n, and then (j-1)(r-1)/(n-1) of those between are expected to be so too. Up to the m-th one
they add to the sum of AP

    (r/n) sum_{j=1..m} (1 + R + (j-1) (r-1)/(n-1)) / (N+j) = (r/n) ((1+R) h + (m - (N+1) h) (r-1)/(n-1)),

h = H_{N+m} - H_N with the harmonic numbers H_i = 1 + 1/2 + .. + 1/i, and r m/n to the relevant items found.
Interpolated precision is that of the expected ranking: R_k is what is expected among the first k.

A query with no relevant item has no AP. Its figures here are 0, never NaN, and `Ranking.relevant` tells it apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.evaluation.cosines import (
    AHEAD_OF_ALL,
    Codes,
    Gallery,
    LeftOut,
    check_rows,
    chunk_size,
    codes,
    in_threads,
    unit,
)


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
    """How many relevant items there are among the candidates, int64."""
    candidates: Tensor
    """How many items are ranked, int64."""
    tied: Tensor
    """Whether a relevant item ties with one that is not, so that the figures are expectations, bool."""
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
    leave_out: tuple[Tensor, Tensor] | None = None,
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
    leave_out: tuple[Tensor, Tensor] | None = None,
    first: Tensor | None = None,
    chunk: int | None = None,
) -> Ranking:
    """Ranks a gallery [g, c] for queries [q, c] and says how well. Memory is O(chunk x g).

    Args:
        query_labels: classes [q], int64.
        gallery_labels: classes [g], int64.
        ks: also AP, precision and recall at these cuts, each 1 or more.
        levels: also interpolated precision at these levels of recall, each in [0, 1].
        leave_out: numbers of queries [q] and of gallery items [g], int64: an item of the query's number is no candidate
            (within one medium, what the query shows).
        first: gallery row [q] that leads each query's ranking whatever its cosine, int64.
        chunk: queries ranked at once; None for as many as `cosines.CHUNK_ENTRIES` allows.

    Raises:
        DataError: a query or gallery row holds numbers that are not finite.
        ValueError: shapes that do not go together, a k < 1, or a level outside [0, 1].
    """
    if not all(0 <= level <= 1 for level in levels):
        raise ValueError(f"levels of recall must lie in [0, 1], not {list(levels)}")
    if ks and min(ks) < 1:
        raise ValueError(f"k = {min(ks)} must be 1 or more")
    aligned = {"query labels": (query_labels, queries), "gallery labels": (gallery_labels, gallery)}
    if leave_out is not None:
        aligned |= {"numbers of queries": (leave_out[0], queries), "numbers of the gallery": (leave_out[1], gallery)}
    if first is not None:
        aligned |= {"rows that lead": (first, queries)}
    check_rows(queries, gallery, aligned)

    queries, items = unit(queries), Gallery(unit(gallery))
    query_labels, gallery_labels = query_labels.cpu(), gallery_labels.cpu()
    left_out = None if leave_out is None else LeftOut(*leave_out)
    candidates = torch.full((len(queries),), len(items)) - (0 if left_out is None else left_out.counts)
    harmonic = harmonic_numbers(len(items))
    figures = torch.zeros(3 + 3 * len(ks) + len(levels), len(queries), dtype=torch.float64)

    def jobs() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Queries of one class each. Products are of blocks across classes: each reads the whole gallery."""
        sought = torch.isin(query_labels, gallery_labels).nonzero().squeeze(1)
        by_class = sought[query_labels[sought].argsort(stable=True)]
        for block in torch.split(by_class, chunk or chunk_size(len(items))):
            cosine = items.cosines(queries[block])
            if first is not None:
                cosine.scatter_(1, first.cpu()[block, None], AHEAD_OF_ALL)
            if left_out is not None:
                left_out.mark(cosine, block)
            labels, counts = torch.unique_consecutive(query_labels[block], return_counts=True)
            sizes = counts.tolist()
            for label, rows, part in zip(labels, torch.split(block, sizes), torch.split(cosine, sizes), strict=True):
                yield rows, part, gallery_labels == label

    def work(job: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        rows, cosine, matches = job
        places = _places(codes(cosine), matches)
        return rows, _figures(*places, candidates[rows], harmonic, ks, levels)

    for rows, found in in_threads(work, jobs()):
        figures[:, rows] = found
    ap, relevant, tied, *cuts = figures
    at = {k: AtK(*cuts[3 * n : 3 * n + 3]) for n, k in enumerate(ks)}
    return Ranking(ap, relevant.long(), candidates, tied.bool(), at, figures[3 + 3 * len(ks) :].T)


@dataclass(frozen=True)
class _Ties:
    """Groups of tied items with both relevant and other ones among them, [t] each, int64."""

    row: Tensor
    """The query's, within the chunk."""
    ahead: Tensor
    """N: items before the group."""
    found: Tensor
    """R: relevant ones of those."""
    size: Tensor
    """n."""
    relevant: Tensor
    """r."""

    def __len__(self) -> int:
        return len(self.row)

    def among(self, candidates: Tensor) -> _Ties:
        """Without the group of the items that are no candidates, of which each query [q] has so many."""
        kept = self.ahead < candidates[self.row]
        return _Ties(*(column[kept] for column in (self.row, self.ahead, self.found, self.size, self.relevant)))

    def expected_gain(self, upto: Tensor, harmonic: Tensor) -> Tensor:
        """What the first m = `upto` [t] of each group add to the sum of AP, in expectation: [t], float64."""
        relevant, h = self.relevant.double(), harmonic[self.ahead + upto] - harmonic[self.ahead]
        between = (relevant - 1) / (self.size - 1).clamp_min(1) * (upto - (self.ahead + 1) * h)
        return relevant / self.size.clamp_min(1) * ((1 + self.found) * h + between)

    def leading_gain(self, upto: Tensor, harmonic: Tensor) -> Tensor:
        """The same where the relevant ones lead their group, as `_places` puts them."""
        m = torch.minimum(upto, self.relevant)
        return m + (self.found - self.ahead) * (harmonic[self.ahead + m] - harmonic[self.ahead])


_NO_TIES = _Ties(*torch.empty(5, 0, dtype=torch.int64))


def _places(ranked: Codes, matches: Tensor) -> tuple[Tensor, _Ties]:
    """Positions, from 1, of the R matching gallery items [g] in the ranking of each query [q, g] by its codes: [q, R],
    ascending, the matching ones ahead of the others that they tie with; and where they do tie with others.

    Sorting values is faster than sorting indices, so each takes along, as its last bit, whether it is a match.
    """
    size = ranked.shape[1]
    ranked |= matches.numpy()
    ranked.sort(axis=1)
    row, place = np.divmod(np.flatnonzero((ranked & 1).astype(bool)), size)  # in each row the last match comes first
    value = ranked[row, place]
    total = len(value) // max(len(ranked), 1)
    positions = torch.from_numpy(size - place).reshape(len(ranked), total).flip(1)

    last = np.flatnonzero((ranked[row, np.maximum(place, 1) - 1] ^ value) == 1)  # each group's last match
    if not len(last):
        return positions, _NO_TIES
    starts = np.flatnonzero(np.r_[True, (value[1:] != value[:-1]) | (row[1:] != row[:-1])])
    ends = np.r_[starts[1:], len(value)]
    relevant = ends[np.searchsorted(starts, last)] - last
    row, place, value = row[last], place[last], value[last]
    end = place + relevant
    tied = end - _first_equal(ranked, row, place, value ^ 1)
    found = total - (last - row * total) - relevant
    columns = (row, size - end, found, tied, relevant)
    return positions, _Ties(*(torch.from_numpy(np.ascontiguousarray(column, np.int64)) for column in columns))


def _first_equal(ranked: Codes, row: Codes, place: Codes, value: Codes) -> Codes:
    """The first place in each of some rows, ascending, at which a value stands that also stands just before `place`."""
    low, high = np.zeros_like(place), place
    while (low < high).any():
        middle = (low + high) // 2
        less = ranked[row, middle] < value
        low, high = np.where(less, middle + 1, low), np.where(less, high, middle)
    return low


def _figures(
    positions: Tensor,
    ties: _Ties,
    candidates: Tensor,
    harmonic: Tensor,
    ks: Sequence[int],
    levels: Sequence[float],
) -> Tensor:
    """AP, R, whether there are ties, then AP, precision and recall at each k, then precision at each level of recall,
    of rankings whose matches stand at `positions` [q, R], ascending and ahead of what they tie with.

    [3 + 3 len(ks) + len(levels), q].
    """
    ties = ties.among(candidates) if len(ties) else ties
    present = positions <= candidates[:, None]
    relevant = present.sum(dim=1).double()
    some = relevant.clamp_min(1)
    gains = torch.arange(1, positions.shape[1] + 1) / positions.double()

    def mend(sums: Tensor, change: Tensor) -> Tensor:
        return sums.index_add(0, ties.row, change) if len(ties) else sums

    def sum_of_gains(upto: Tensor, among: Tensor) -> Tensor:
        if not len(ties):
            return (gains * among).sum(dim=1)
        return mend((gains * among).sum(dim=1), ties.expected_gain(upto, harmonic) - ties.leading_gain(upto, harmonic))

    tied = mend(torch.zeros_like(relevant), torch.ones(len(ties), dtype=torch.float64)) > 0
    figures = [sum_of_gains(ties.size, present) / some, relevant, tied.double()]
    for k in ks:
        cut = candidates.clamp(1, k)
        near = positions <= torch.minimum(cut, candidates)[:, None]
        upto = (cut[ties.row] - ties.ahead).clamp_min(0).minimum(ties.size)
        more = ties.relevant * (upto / ties.size.double()) - torch.minimum(ties.relevant, upto)
        found = mend(near.sum(dim=1).double(), more)
        figures += [sum_of_gains(upto, near) / torch.minimum(some, cut), found / cut, found / some]
    if levels:
        _mend_matches(gains, ties)
        best = (gains * present).flip(1).cummax(dim=1).values.flip(1)  # from each match on
    for level in levels:
        # The first match by which the recall is reached; 0.7 * 10 is a little more than 7.
        match = (level * relevant - 1e-9).ceil().clamp_min(1).long() - 1
        figures.append(best.gather(1, match[:, None]).squeeze(1))
    return torch.stack(figures)


def _mend_matches(precisions: Tensor, ties: _Ties) -> None:
    """Sets the precision at each match [q, R] of a tied group to that at the first cut by which it is expected.

    Along a group the expected precision only rises or only falls, so it is nowhere higher in between.
    """
    group = torch.arange(len(ties)).repeat_interleave(ties.relevant)
    nth = 1 + torch.arange(len(group)) - (ties.relevant.cumsum(0) - ties.relevant)[group]
    size, relevant, found = ties.size[group], ties.relevant[group], ties.found[group]
    m = -(-nth * size // relevant)
    precisions[ties.row[group], found + nth - 1] = (found + relevant * (m / size.double())) / (ties.ahead[group] + m)


def harmonic_numbers(size: int) -> Tensor:
    """H_0 = 0, H_1 = 1, H_2 = 1 + 1/2, ... [size + 1], float64."""
    return F.pad(1 / torch.arange(1, size + 1, dtype=torch.float64), (1, 0)).cumsum(0)


def chance_ap(relevant: Tensor, candidates: Tensor | int, *, first: int = 0) -> Tensor:
    """Expected AP [q], float64, of a random ranking of `candidates` items of which `relevant` [q] are relevant.

    It is that of N tied items, of which f = `first` relevant ones lead every ranking (1 where the query finds itself):
    behind them n = N - f items tie, r = R - f of them relevant. 0 where nothing is relevant.
    """
    candidates = torch.as_tensor(candidates).expand(relevant.shape)
    ahead, size = torch.full_like(relevant, first), (candidates - first).clamp_min(0)
    tied = _Ties(torch.arange(len(relevant)), ahead, ahead, size, relevant - first)
    gain = tied.expected_gain(size, harmonic_numbers(int(candidates.max()) if len(relevant) else 0))
    return torch.where(relevant > 0, (first + gain) / relevant.clamp_min(1), 0.0)
