"""Cosines of queries to a gallery, some queries at a time, and what it means that two items tie.

Items tie for a query where their cosines are equal. Equal representations always tie, wherever they stand in the
gallery; so do others whose cosines differ by less than 2^-50 (9e-16), which is as much as rounding in float64 changes a
cosine. A zero vector has cosine 0 to everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core.base.errors import DataError

CHUNK_ENTRIES = 2**20
"""Query-gallery pairs that a thread compares at once: 8 MiB for each array of them."""

AHEAD_OF_ALL, BEHIND_ALL = 1.5, -1.5
"""In the place of a cosine, of an item that leads a ranking, and of one that is no candidate."""

Codes = npt.NDArray[np.int64]
JobT = TypeVar("JobT")
DoneT = TypeVar("DoneT")


def unit(rows: Tensor) -> Tensor:
    """Rows [n, c] scaled to length 1, float64, on the CPU."""
    return F.normalize(rows.double().cpu(), dim=1)


class Gallery:
    """A gallery [g, c] of unit rows, ready to be compared with."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self._repeated, self._original = repeated_rows(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def cosines(self, queries: Tensor) -> Tensor:
        """Of unit queries [q, c] to every item: [q, g]. Equal items have equal values, to the last bit.

        In a plain matrix product they need not: the last bits depend on the column.
        """
        cosine = queries @ self.rows.T
        if len(self._repeated):
            cosine[:, self._repeated] = cosine[:, self._original]
        return cosine


def repeated_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers of rows [n, c] that equal an earlier one, and of the earliest such: int64, both of one length."""
    number = torch.arange(len(rows))
    if not rows.shape[1]:  # rows without a value are equal, and torch.unique refuses them
        rows = rows.new_zeros(len(rows), 1)
    distinct, group = torch.unique(rows, dim=0, return_inverse=True)
    earliest = number.new_full((len(distinct),), len(rows)).scatter_reduce_(0, group, number, "amin")[group]
    repeated = (earliest != number).nonzero().squeeze(1)
    return repeated, earliest[repeated]


class LeftOut:
    """Gallery items that are no candidates: those whose number is the query's.

    Args:
        queries, gallery: numbers [q] and [g], int64, of what the items are, such as their picture.
    """

    def __init__(self, queries: Tensor, gallery: Tensor) -> None:
        ordered, self._order = gallery.cpu().sort(stable=True)
        queries = queries.cpu()
        self._first = torch.searchsorted(ordered, queries)
        self.counts = torch.searchsorted(ordered, queries, right=True) - self._first
        """How many are left out for each query [q], int64."""

    def mark(self, cosine: Tensor, rows: Tensor) -> None:
        """Puts them behind all others in the cosines [n, g] of the queries of some numbers [n]."""
        counts = self.counts[rows]
        row = torch.arange(len(rows)).repeat_interleave(counts)
        nth = torch.arange(len(row)) - (counts.cumsum(0) - counts)[row]
        cosine[row, self._order[self._first[rows][row] + nth]] = BEHIND_ALL


def codes(cosine: Tensor) -> Codes:
    """Whole numbers in the order of cosines [q, g]; those of items that tie are equal, and all are even.

    Of positive numbers, greater ones have greater bits.
    """
    bits = (cosine.numpy() + 2).view(np.int64)
    bits &= ~1
    return bits


def chunk_size(gallery: int) -> int:
    """Queries that are compared with a gallery of that size at once."""
    return max(1, CHUNK_ENTRIES // max(gallery, 1))


def in_threads(work: Callable[[JobT], DoneT], jobs: Iterator[JobT]) -> Iterator[DoneT]:
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


def check_rows(queries: Tensor, gallery: Tensor, aligned: dict[str, tuple[Tensor, Tensor]]) -> None:
    """Raises ValueError for shapes that do not go together, DataError for rows that cannot be ranked.

    Args:
        queries, gallery: [q, c] and [g, c].
        aligned: by what they are called, vectors that have a value for each row, and the rows.
    """
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise ValueError(f"queries {_shape(queries)} and gallery {_shape(gallery)} must be matrices of one width")
    for name, (numbers, rows) in aligned.items():
        if numbers.shape != rows.shape[:1]:
            raise ValueError(f"{name} {_shape(numbers)} must be one for each of {len(rows)} rows")
    for name, rows in (("query", queries), ("gallery", gallery)):
        if not torch.isfinite(rows).all():
            bad = int((~torch.isfinite(rows).all(dim=1)).sum())
            raise DataError(f"{bad} of {len(rows)} {name} rows hold numbers that are not finite: they cannot be ranked")


def _shape(tensor: Tensor) -> list[Any]:
    return list(tensor.shape)
