"""`faiss`: nearest neighbours by an index of the library Faiss. Cosines are inner products of unit vectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from dckt_core import IndexContext
from dckt_plugins.extras import need
from dckt_plugins.indexes.approximate import ApproximateIndex, Rows, Structure, settings
from dckt_plugins.indexes.catalogue import FaissOptions


def build(options: FaissOptions, context: IndexContext) -> ApproximateIndex:
    faiss: Any = need("faiss", of="index 'faiss'", extra="faiss")

    def make(vectors: Rows) -> Structure:
        return FaissStructure(faiss, _made(faiss, options, context, vectors), options)

    def read(content: npt.NDArray[np.uint8]) -> Structure:
        return FaissStructure(faiss, faiss.deserialize_index(content), options)

    named = settings(library="faiss", seed=context.seed, **asdict(options))
    return ApproximateIndex(context.dim, make=make, read=read, settings=named)


def _made(faiss: Any, options: FaissOptions, context: IndexContext, vectors: Rows) -> Any:
    metric = faiss.METRIC_INNER_PRODUCT
    if options.structure == "flat":
        return faiss.IndexFlatIP(context.dim)
    if options.structure == "hnsw":
        graph = faiss.IndexHNSWFlat(context.dim, options.neighbours, metric)
        graph.hnsw.efConstruction = options.build_width
        return graph
    lists = _lists(options, len(vectors))
    made = faiss.IndexIVFFlat(faiss.IndexFlatIP(context.dim), context.dim, lists, metric)
    made.cp.seed = context.seed % 2**31
    made.cp.min_points_per_centroid = 1  # it warns on stderr where there are fewer than 39
    with _one_thread(faiss):
        made.train(vectors)
    return made


def _lists(options: FaissOptions, size: int) -> int:
    return min(options.lists or round(size**0.5), size)


class FaissStructure:
    """One of Faiss's indexes."""

    def __init__(self, faiss: Any, index: Any, options: FaissOptions) -> None:
        self._faiss, self._index, self._options = faiss, index, options

    def add(self, vectors: Rows, /) -> None:
        with _one_thread(self._faiss):  # with more of them the graph is another one each time
            self._index.add(vectors)

    def propose(self, queries: Rows, k: int, /) -> npt.NDArray[np.int64]:
        options, how = self._options, None
        if options.structure == "hnsw":
            how = self._faiss.SearchParametersHNSW(efSearch=max(options.search_width, k))
        elif options.structure == "ivf":
            how = self._faiss.SearchParametersIVF(nprobe=options.probes)
        rows: npt.NDArray[np.int64] = self._index.search(queries, k, params=how)[1]
        return rows

    def outgrown(self, size: int, /) -> bool:
        """For lists, twice the vectors are too many: centroids were learnt from those that were there."""
        return self._options.structure == "ivf" and _lists(self._options, size) ** 2 > 2 * self._index.nlist**2

    def to_bytes(self) -> npt.NDArray[np.uint8]:
        content: npt.NDArray[np.uint8] = self._faiss.serialize_index(self._index)
        return content


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
