"""`exact`: nearest neighbours by comparing every query with every vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dckt_core import IndexSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Index, IndexContext
    from dckt_core.contract.specs import NoOptions


@hookimpl
def dckt_indexes() -> Iterable[IndexSpec[Any]]:
    return [IndexSpec(name="exact", summary="compares with every vector, in chunks", build=_build, api="1.0")]


def _build(options: NoOptions, context: IndexContext) -> Index:
    from dckt_plugins.indexes.exact_search import ExactIndex

    return ExactIndex(context.dim)
