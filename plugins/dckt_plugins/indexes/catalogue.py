"""The indexes in the box: their names and options. What builds them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge

from dckt_core import IndexSpec, hookimpl

AtLeast1 = Annotated[int, Ge(1)]
Links = Annotated[int, Ge(2)]


@dataclass(frozen=True)
class FaissOptions:
    """What `--index-opt` takes."""

    structure: Annotated[
        Literal["hnsw", "ivf", "flat"], "a graph of neighbours, lists around centroids, or every vector"
    ] = "hnsw"
    neighbours: Annotated[Links, "hnsw: links of a vector in the graph"] = 32
    build_width: Annotated[AtLeast1, "hnsw: candidates at hand while a vector is put in"] = 80
    search_width: Annotated[AtLeast1, "hnsw: candidates at hand in a search; at least k"] = 64
    lists: Annotated[Annotated[int, Ge(0)], "ivf: centroids; 0 is the root of the number of vectors"] = 0
    probes: Annotated[AtLeast1, "ivf: lists that a search looks through"] = 8


@dataclass(frozen=True)
class USearchOptions:
    """What `--index-opt` takes."""

    values: Annotated[Literal["f32", "f16"], "how the graph keeps its copy of the vectors"] = "f32"
    neighbours: Annotated[Links, "links of a vector in the graph"] = 32
    build_width: Annotated[AtLeast1, "candidates at hand while a vector is put in"] = 128
    search_width: Annotated[AtLeast1, "candidates at hand in a search; at least k"] = 64


@hookimpl
def dckt_indexes() -> Iterable[IndexSpec[Any]]:
    return [
        IndexSpec(
            name="exact",
            summary="compares with every vector, in chunks",
            build="dckt_plugins.indexes.exact:build",
            api="1.0",
        ),
        IndexSpec(
            name="faiss",
            summary="a graph, lists or all vectors by Faiss (extra: faiss)",
            options=FaissOptions,
            build="dckt_plugins.indexes.faiss:build",
            api="1.0",
        ),
        IndexSpec(
            name="usearch",
            summary="a graph of neighbours by USearch (extra: usearch)",
            options=USearchOptions,
            build="dckt_plugins.indexes.usearch:build",
            api="1.0",
        ),
    ]
