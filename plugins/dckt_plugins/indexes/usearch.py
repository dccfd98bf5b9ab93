"""`usearch`: nearest neighbours by the graph of the library USearch."""

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

    values: Annotated[Literal["f32", "f16"], "how the graph keeps its copy of the vectors"] = "f32"
    neighbours: Annotated[Annotated[int, Ge(2)], "links of a vector in the graph"] = 32
    build_width: Annotated[Annotated[int, Ge(1)], "candidates at hand while a vector is put in"] = 128
    search_width: Annotated[Annotated[int, Ge(1)], "candidates at hand in a search; at least k"] = 64


@hookimpl
def dckt_indexes() -> Iterable[IndexSpec[Any]]:
    return [
        IndexSpec(
            name="usearch",
            summary="a graph of neighbours by USearch (extra: usearch)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: IndexContext) -> Index:
    from dckt_plugins.indexes.usearch_structure import build

    return build(options, context)
