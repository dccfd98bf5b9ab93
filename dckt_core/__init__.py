"""dckt: Deep Cross-media Knowledge Transfer. The engine and its extension points.

A plugin needs no more than this module: the `hookimpl` marker, the specs that its hooks return and, for what
`build` returns, `dckt_core.protocols`.
"""

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

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "DatasetSpec",
    "DiscrepancySpec",
    "EncoderSpec",
    "IndexSpec",
    "ObserverSpec",
    "SamplerSpec",
    "__version__",
    "hookimpl",
]
