"""`usearch`: nearest neighbours by the graph of the library USearch. Cosines are inner products of unit vectors."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from dckt_core import IndexContext
from dckt_plugins.extras import need
from dckt_plugins.indexes.approximate import ApproximateIndex, Rows, Structure, settings
from dckt_plugins.indexes.catalogue import USearchOptions


def build(options: USearchOptions, context: IndexContext) -> ApproximateIndex:
    library: Any = need("usearch.index", of="index 'usearch'", extra="usearch")

    def empty() -> Any:
        return library.Index(
            ndim=context.dim,
            metric="ip",
            dtype=options.values,
            connectivity=options.neighbours,
            expansion_add=options.build_width,
            expansion_search=options.search_width,
        )

    def make(vectors: Rows) -> Structure:
        return USearchStructure(empty(), options)

    def read(content: npt.NDArray[np.uint8]) -> Structure:
        graph = empty()
        graph.load(content.tobytes())
        return USearchStructure(graph, options)

    named = settings(library="usearch", **asdict(options))
    return ApproximateIndex(context.dim, make=make, read=read, settings=named)


class USearchStructure:
    """USearch's index; its keys are rows."""

    def __init__(self, index: Any, options: USearchOptions) -> None:
        self._index, self._options = index, options

    def add(self, vectors: Rows, /) -> None:
        first = len(self._index)
        # With more threads than one the graph is another one each time.
        self._index.add(np.arange(first, first + len(vectors)), vectors, threads=1)

    def propose(self, queries: Rows, k: int, /) -> npt.NDArray[np.int64]:
        self._index.expansion_search = max(self._options.search_width, k)
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        for row, query in zip(rows, queries, strict=True):
            found = self._index.search(query, k, threads=1).keys
            row[: len(found)] = found
        return rows

    def outgrown(self, size: int, /) -> bool:
        return False  # a graph learns from each vector

    def to_bytes(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(bytes(self._index.save()), dtype=np.uint8).copy()
