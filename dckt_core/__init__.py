"""dckt: Deep Cross-media Knowledge Transfer. The engine and its extension points.

This module is all that a plugin's author imports: the `hookimpl` marker, the specs that hooks return, what `build` is
given and gives back, and the errors to raise. Who trains and uses runs finds `load`, `build_index` and `open_index`
here. Everything but marker and specs is imported when it is first asked for, so that plugins are listed without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dckt_core.contract.hookspecs import hookimpl
from dckt_core.contract.specs import (
    API_VERSION,
    DatasetSpec,
    DiscrepancySpec,
    EncoderSpec,
    IndexSpec,
    ObserverSpec,
    SamplerSpec,
)

if TYPE_CHECKING:
    from dckt_core.base.errors import DataError as DataError
    from dckt_core.base.errors import PluginError as PluginError
    from dckt_core.base.errors import UsageError as UsageError
    from dckt_core.contract.pairs import ImageItem as ImageItem
    from dckt_core.contract.pairs import Pair as Pair
    from dckt_core.contract.pairs import PairSet as PairSet
    from dckt_core.contract.pairs import TextItem as TextItem
    from dckt_core.contract.protocols import DatasetContext as DatasetContext
    from dckt_core.contract.protocols import Discrepancy as Discrepancy
    from dckt_core.contract.protocols import DiscrepancyContext as DiscrepancyContext
    from dckt_core.contract.protocols import Encoder as Encoder
    from dckt_core.contract.protocols import EncoderContext as EncoderContext
    from dckt_core.contract.protocols import Index as Index
    from dckt_core.contract.protocols import IndexContext as IndexContext
    from dckt_core.contract.protocols import LayerwiseDiscrepancy as LayerwiseDiscrepancy
    from dckt_core.contract.protocols import Observer as Observer
    from dckt_core.contract.protocols import ObserverContext as ObserverContext
    from dckt_core.contract.protocols import Representation as Representation
    from dckt_core.contract.protocols import Sampler as Sampler
    from dckt_core.contract.protocols import SamplerContext as SamplerContext
    from dckt_core.contract.protocols import SamplerState as SamplerState
    from dckt_core.contract.protocols import Selection as Selection
    from dckt_core.retrieval.build import add_to_index as add_to_index
    from dckt_core.retrieval.build import build_index as build_index
    from dckt_core.retrieval.build import remove_from_index as remove_from_index
    from dckt_core.retrieval.opening import open_index as open_index
    from dckt_core.retrieval.searcher import Searcher as Searcher
    from dckt_core.runs.model import TrainedModel as TrainedModel
    from dckt_core.runs.model import load as load

__version__ = "0.1.0"
"""That of the distribution `dckt`."""

_HOMES = {
    "base.errors": ("DataError", "PluginError", "UsageError"),
    "contract.pairs": ("ImageItem", "Pair", "PairSet", "TextItem"),
    "contract.protocols": (
        "DatasetContext",
        "Discrepancy",
        "DiscrepancyContext",
        "Encoder",
        "EncoderContext",
        "Index",
        "IndexContext",
        "LayerwiseDiscrepancy",
        "Observer",
        "ObserverContext",
        "Representation",
        "Sampler",
        "SamplerContext",
        "SamplerState",
        "Selection",
    ),
    "retrieval.build": ("add_to_index", "build_index", "remove_from_index"),
    "retrieval.opening": ("open_index",),
    "retrieval.searcher": ("Searcher",),
    "runs.model": ("TrainedModel", "load"),
}
"""Modules of the core, and what they lend to this one when it is first asked for."""

_LAZY = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - names are strings, known at import
    "API_VERSION",
    "DatasetSpec",
    "DiscrepancySpec",
    "EncoderSpec",
    "IndexSpec",
    "ObserverSpec",
    "SamplerSpec",
    "__version__",
    "hookimpl",
    *sorted(_LAZY),
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dckt_core' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)
