"""`faiss`: nearest neighbours by an index of the library Faiss."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from dckt_core import IndexSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Index, IndexContext


@dataclass(frozen=True)
class Options:
    """What `--index-opt` takes."""

    structure: Annotated[
        Literal["hnsw", "ivf", "flat"], "a graph of neighbours, lists around centroids, or every vector"
    ] = "hnsw"
    neighbours: Annotated[Annotated[int, Ge(2)], "hnsw: links of a vector in the graph"] = 32
    build_width: Annotated[Annotated[int, Ge(1)], "hnsw: candidates at hand while a vector is put in"] = 80
    search_width: Annotated[Annotated[int, Ge(1)], "hnsw: candidates at hand in a search; at least k"] = 64
    lists: Annotated[Annotated[int, Ge(0)], "ivf: centroids; 0 is the root of the number of vectors"] = 0
    probes: Annotated[Annotated[int, Ge(1)], "ivf: lists that a search looks through"] = 8


@hookimpl
def dckt_indexes() -> Iterable[IndexSpec[Any]]:
    return [
        IndexSpec(
            name="faiss",
            summary="a graph, lists or all vectors by Faiss (extra: faiss)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: IndexContext) -> Index:
    from dckt_plugins.indexes.faiss_structure import build

    return build(options, context)
