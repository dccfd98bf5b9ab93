"""How much of what is nearest an index finds: recall at 10, against a comparison with every vector."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.retrieval.gallery import Gallery

AT = 10
QUERIES = 1000
CHUNK_ENTRIES = 2**24
"""Query-item pairs compared at once: 64 MiB."""
TOLERANCE = 1e-6
"""An item this near to the last of the nearest is as good: equal vectors differ by rounding."""


def sample(rows: int, generator: torch.Generator) -> Tensor:
    """Numbers of at most `QUERIES` of some rows, ascending, int64."""
    return torch.randperm(rows, generator=generator)[:QUERIES].sort().values


@torch.no_grad()
def recall(gallery: Gallery, rows: Tensor, queries: Tensor, own: Tensor | None = None) -> float:
    """Mean share, in [0, 1], of the nearest `AT` items of each query that the gallery finds.

    Args:
        rows: the gallery's vectors [n, D], in the order of its items.
        queries: [q, D].
        own: the row [q] that each query is itself, which is left out; None where the queries are no items.
    """
    k = min(AT, len(rows) - (own is not None))
    if k == 0 or len(queries) == 0:
        return 1.0
    number = {id_: row for row, id_ in enumerate(gallery.items)}
    unit, questions = F.normalize(rows, dim=1), F.normalize(queries, dim=1)
    found = 0
    step = max(1, CHUNK_ENTRIES // len(rows))
    for start in range(0, len(queries), step):
        cosines = questions[start : start + step] @ unit.T
        if own is not None:
            cosines.scatter_(1, own[start : start + step, None], -torch.inf)
        least = cosines.topk(k, dim=1).values[:, -1] - TOLERANCE
        hits = gallery.search(queries[start : start + step], k + (own is not None))
        for query, answer in enumerate(hits):
            places = torch.tensor([number[hit.id] for hit in answer])
            good = cosines[query, places] >= least[query]  # one left out is at minus infinity
            found += min(k, int(good.sum()))
    return found / (k * len(queries))
