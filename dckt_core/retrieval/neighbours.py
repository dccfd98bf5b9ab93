"""Nearest items, narrowed and ranked by more than the cosine to one query, through any index.

An index finds what is nearest by cosine and knows nothing else. So it is asked for more than is wanted, and for more
again, until what it has not shown cannot be among the best any more. Answers are as exact as the index is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.base.progress import Progress, silent
from dckt_core.retrieval.gallery import Gallery, Hit, Hits

ALPHA = 3.0
"""Power of the cosines that the query's neighbours are weighted by, as Radenović et al. have it."""

GROWTH = 4
"""An index that has shown too little is asked for so many times as much."""

AT_ONCE = 1024
"""Items whose neighbours are looked for at once."""


@dataclass(frozen=True)
class Hubness:
    """What cross-domain similarity local scaling holds against each item: hubs lie near to everything.

    CSLS(q, x) = 2 cos(q, x) - r(q) - r(x), where r is the mean cosine to the k nearest of the other side (Conneau et
    al., "Word translation without parallel data", ICLR 2018).

    Attributes:
        k: neighbours.
        means: r(x) by id, of all items of a gallery.
    """

    k: int
    means: Mapping[str, float]

    def rank(self, hits: Sequence[Hit]) -> Hits:
        """Hits, best CSLS first; they are, or begin with, the k nearest of all items."""
        nearest = [hit.cosine for hit in hits[: self.k]]
        own = sum(nearest) / max(len(nearest), 1)
        scored = (replace(hit, csls=2 * hit.cosine - own - self.means[hit.id]) for hit in hits)
        return Hits(sorted(scored, key=_score, reverse=True))

    def at_most(self, hits: Sequence[Hit]) -> float:
        """The greatest CSLS that items behind these by cosine can have."""
        nearest = [hit.cosine for hit in hits[: self.k]]
        return 2 * hits[-1].cosine - sum(nearest) / len(nearest) - min(self.means.values())


def hubness(gallery: Gallery, bank: Gallery, k: int, progress: Progress = silent) -> Hubness:
    """The mean cosine of each item of a gallery to its k nearest in a bank of what queries may be: items of the
    query's medium, or the gallery itself, where no item counts as its own neighbour.

    Raises:
        UsageError: the gallery's index does not give its vectors.
    """
    items, vectors = gallery.stored()
    means: dict[str, float] = {}
    own = bank is gallery
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        for item, hits in zip(some, bank.search(vectors[start : start + AT_ONCE], k + own), strict=True):
            near = [hit.cosine for hit in hits if not (own and hit.id == item["id"])][:k]
            means[item["id"]] = sum(near) / len(near) if near else 0.0
        progress(start + len(some), len(items), f"measuring how near {len(items):,} {gallery.medium}s are to all")
    return Hubness(k, means)


def nearest(
    gallery: Gallery,
    queries: Tensor,
    k: int,
    *,
    admitted: Collection[str] | None = None,
    without: Sequence[Collection[str]] | None = None,
    hubs: Hubness | None = None,
    likely: Callable[[Sequence[Hit]], Sequence[bool]] | None = None,
) -> list[Hits]:
    """The best k of each query [q, D], best first: by CSLS where hubs are held back, else by cosine.

    Args:
        admitted: ids of what may be found; None for all.
        without: for each query, ids of what may not.
        likely: of some hits, which of them may be found; of two, the one of higher cosine where the other may.
    """
    if admitted is None and without is None and hubs is None and likely is None:
        return gallery.search(queries, k)
    size = len(gallery)
    allowed = gallery.items.keys() if admitted is None else admitted
    left_out = without or [()] * len(queries)
    enough = [min(k, len(allowed) - sum(id_ in allowed for id_ in ids)) for ids in left_out]
    width = min(size, ceil(k * size / max(len(allowed), 1)) + (k if hubs is None else GROWTH * hubs.k))
    answers: list[Hits] = [Hits() for _ in queries]
    todo = list(range(len(queries)))
    while todo:
        missing = []
        for row, found in zip(todo, gallery.search(queries[todo], width), strict=True):
            ranked = found if hubs is None else hubs.rank(found)
            fit = [hit for hit in ranked if hit.id in allowed and hit.id not in left_out[row]]
            if likely is not None:
                fit = [hit for hit, may in zip(fit, likely(fit), strict=True) if may]
            answers[row], last = Hits(fit[:k]), fit[: enough[row]][-1:]
            if width >= size or len(found) < width or (likely is not None and not all(likely(found[-1:]))):
                continue  # there is no more
            if len(fit) < enough[row] or (hubs is not None and last and _score(last[0]) < hubs.at_most(found)):
                missing.append(row)
        todo, width = missing, min(size, GROWTH * width)
    return answers


def _score(hit: Hit) -> float:
    return hit.cosine if hit.csls is None else hit.csls


def expanded(gallery: Gallery, queries: Tensor, found: Sequence[Sequence[Hit]], alpha: float = ALPHA) -> Tensor:
    """Queries [q, D] moved to what they found first, [q, D] of unit length, float64: the sum of each query and its
    neighbours, all of unit length, a neighbour by its cosine to the power of alpha, and by nothing where that is
    negative.

    Query expansion (Chum et al., "Total recall", ICCV 2007) by weights (Radenović, Tolias and Chum, "Fine-tuning CNN
    image retrieval with no human annotation", TPAMI 2019).
    """
    rows = F.normalize(queries.double(), dim=1)
    moved = []
    for row, hits in zip(rows, found, strict=True):
        weights = torch.tensor([max(hit.cosine, 0.0) ** alpha for hit in hits], dtype=torch.float64)
        moved.append(row + weights @ gallery.vectors([hit.id for hit in hits]).double())
    return F.normalize(torch.stack(moved), dim=1) if moved else rows
