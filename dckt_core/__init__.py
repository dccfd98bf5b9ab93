"""dckt: Deep Cross-media Knowledge Transfer. The engine and its extension points.

A plugin needs no more than this module: the `hookimpl` marker, the specs that its hooks return and, for what
`build` returns, `dckt_core.protocols`. Who uses trained runs needs `load`, `build_index` and `open_index`, which are
imported when they are first asked for, so that plugins are listed without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dckt_core.hookspecs import hookimpl
from dckt_core.specs import (
    API_VERSION,
    DatasetSpec,
    DiscrepancySpec,
    EncoderSpec,
    IndexSpec,
    ObserverSpec,
    SamplerSpec,
)

if TYPE_CHECKING:
    from dckt_core.model import TrainedModel as TrainedModel
    from dckt_core.model import load as load
    from dckt_core.search.build import add_to_index as add_to_index
    from dckt_core.search.build import build_index as build_index
    from dckt_core.search.build import remove_from_index as remove_from_index
    from dckt_core.search.opening import open_index as open_index
    from dckt_core.search.searcher import Searcher as Searcher

__version__ = "0.1.0"

_LAZY = {
    "Searcher": "dckt_core.search.searcher",
    "TrainedModel": "dckt_core.model",
    "add_to_index": "dckt_core.search.build",
    "build_index": "dckt_core.search.build",
    "load": "dckt_core.model",
    "open_index": "dckt_core.search.opening",
    "remove_from_index": "dckt_core.search.build",
}

__all__ = [
    "API_VERSION",
    "DatasetSpec",
    "DiscrepancySpec",
    "EncoderSpec",
    "IndexSpec",
    "ObserverSpec",
    "SamplerSpec",
    "Searcher",
    "TrainedModel",
    "__version__",
    "add_to_index",
    "build_index",
    "hookimpl",
    "load",
    "open_index",
    "remove_from_index",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dckt_core' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)
