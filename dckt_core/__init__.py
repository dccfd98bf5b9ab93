"""dckt: Deep Cross-media Knowledge Transfer. The engine and its extension points.

This module is all that a plugin's author imports: the `hookimpl` marker, the specs that hooks return, what `build` is
given and gives back, the errors to raise, and the few tools that plugins share with the engine (docs/plugins.md). Who
works from Python finds `CommonSpace` here (docs/arrays.md), and what the commands do: `train`, `resume`, `load`,
`evaluate`, `extract`, `build_index`, `open_index` (docs/search.md). Everything but marker and specs is imported when
it is first asked for, so that plugins are listed without torch.
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
    NoOptions,
    ObserverSpec,
    PartSpec,
    SamplerSpec,
)

if TYPE_CHECKING:
    from dckt_core.arrays.common_space import CommonSpace as CommonSpace
    from dckt_core.base.errors import ArgumentError as ArgumentError
    from dckt_core.base.errors import DataError as DataError
    from dckt_core.base.errors import PluginError as PluginError
    from dckt_core.base.errors import StorageError as StorageError
    from dckt_core.base.errors import UsageError as UsageError
    from dckt_core.base.errors import did_you_mean as did_you_mean
    from dckt_core.base.memory import advising as advising
    from dckt_core.base.progress import bars as bars
    from dckt_core.base.progress import logger as logger
    from dckt_core.base.rng import seed_for as seed_for
    from dckt_core.base.rng import seeded_construction as seeded_construction
    from dckt_core.base.rng import undrawn_linear as undrawn_linear
    from dckt_core.config import Config as Config
    from dckt_core.contract.formula import Formula as Formula
    from dckt_core.contract.formula import Value as Value
    from dckt_core.contract.pairs import MEDIA as MEDIA
    from dckt_core.contract.pairs import ROLES as ROLES
    from dckt_core.contract.pairs import SPLITS as SPLITS
    from dckt_core.contract.pairs import ImageItem as ImageItem
    from dckt_core.contract.pairs import Medium as Medium
    from dckt_core.contract.pairs import Metadata as Metadata
    from dckt_core.contract.pairs import Pair as Pair
    from dckt_core.contract.pairs import PairSet as PairSet
    from dckt_core.contract.pairs import Role as Role
    from dckt_core.contract.pairs import Split as Split
    from dckt_core.contract.pairs import TextItem as TextItem
    from dckt_core.contract.protocols import DatasetContext as DatasetContext
    from dckt_core.contract.protocols import Discrepancy as Discrepancy
    from dckt_core.contract.protocols import DiscrepancyContext as DiscrepancyContext
    from dckt_core.contract.protocols import Encoder as Encoder
    from dckt_core.contract.protocols import EncoderContext as EncoderContext
    from dckt_core.contract.protocols import Index as Index
    from dckt_core.contract.protocols import IndexContext as IndexContext
    from dckt_core.contract.protocols import Item as Item
    from dckt_core.contract.protocols import Known as Known
    from dckt_core.contract.protocols import LayerwiseDiscrepancy as LayerwiseDiscrepancy
    from dckt_core.contract.protocols import Material as Material
    from dckt_core.contract.protocols import Observer as Observer
    from dckt_core.contract.protocols import ObserverContext as ObserverContext
    from dckt_core.contract.protocols import Part as Part
    from dckt_core.contract.protocols import PartContext as PartContext
    from dckt_core.contract.protocols import Representation as Representation
    from dckt_core.contract.protocols import Sampler as Sampler
    from dckt_core.contract.protocols import SamplerContext as SamplerContext
    from dckt_core.contract.protocols import SamplerState as SamplerState
    from dckt_core.contract.protocols import Selection as Selection
    from dckt_core.contract.protocols import StepAsideError as StepAsideError
    from dckt_core.contract.records import Record as Record
    from dckt_core.data.collector import PairCollector as PairCollector
    from dckt_core.data.context import Context as Context
    from dckt_core.data.importing import Imported as Imported
    from dckt_core.data.importing import Plan as Plan
    from dckt_core.data.importing import import_data as import_data
    from dckt_core.data.manifest import MANIFEST_NAME as MANIFEST_NAME
    from dckt_core.data.manifest import load_manifest as load_manifest
    from dckt_core.data.metadata import of_cell as of_cell
    from dckt_core.data.own import made_here as made_here
    from dckt_core.data.own import own_tag as own_tag
    from dckt_core.data.records import collect as collect
    from dckt_core.data.records import data_folder as data_folder
    from dckt_core.evaluation.instances import reciprocal_ranks as reciprocal_ranks
    from dckt_core.evaluation.intervals import standard_errors as standard_errors
    from dckt_core.evaluation.ranking import average_precisions as average_precisions
    from dckt_core.exports.exporting import export as export
    from dckt_core.exports.rows import to_dataset as to_dataset
    from dckt_core.io.feature_files import FeatureTable as FeatureTable
    from dckt_core.io.feature_files import features_digest as features_digest
    from dckt_core.io.feature_files import read_features as read_features
    from dckt_core.io.feature_kinds import is_features as is_features
    from dckt_core.io.files import write_atomically as write_atomically
    from dckt_core.io.images import IMAGE_SUFFIXES as IMAGE_SUFFIXES
    from dckt_core.io.tables import TableReader as TableReader
    from dckt_core.io.tables import add_to_table as add_to_table
    from dckt_core.io.tables import write_table as write_table
    from dckt_core.io.tensors import load_tensors as load_tensors
    from dckt_core.io.tensors import save_tensors as save_tensors
    from dckt_core.io.tensors import tensors_digest as tensors_digest
    from dckt_core.io.text import check_inside as check_inside
    from dckt_core.io.text import decode_line as decode_line
    from dckt_core.io.text import numbered_lines as numbered_lines
    from dckt_core.io.text import parse_json as parse_json
    from dckt_core.io.text import read_text as read_text
    from dckt_core.io.text import shown as shown
    from dckt_core.io.unpacking import Unpacked as Unpacked
    from dckt_core.retrieval.extracting import extract as extract
    from dckt_core.retrieval.index import add_to_index as add_to_index
    from dckt_core.retrieval.index import build_index as build_index
    from dckt_core.retrieval.index import open_index as open_index
    from dckt_core.retrieval.index import remove_from_index as remove_from_index
    from dckt_core.retrieval.searcher import Searcher as Searcher
    from dckt_core.runs.evaluate import evaluate as evaluate
    from dckt_core.runs.model import TrainedModel as TrainedModel
    from dckt_core.runs.model import load as load
    from dckt_core.runs.setup import resolve_config as resolve_config
    from dckt_core.runs.train import Result as Result
    from dckt_core.runs.train import resume as resume
    from dckt_core.runs.train import train as train

__version__ = "0.1.0"
"""That of the distribution `dckt`."""

_HOMES = {
    "arrays.common_space": ("CommonSpace",),
    "base.errors": ("ArgumentError", "DataError", "PluginError", "StorageError", "UsageError", "did_you_mean"),
    "base.memory": ("advising",),
    "base.progress": ("bars", "logger"),
    "base.rng": ("seed_for", "seeded_construction", "undrawn_linear"),
    "config": ("Config",),
    "contract.formula": ("Formula", "Value"),
    "contract.pairs": (
        "MEDIA",
        "ROLES",
        "SPLITS",
        "ImageItem",
        "Medium",
        "Metadata",
        "Pair",
        "PairSet",
        "Role",
        "Split",
        "TextItem",
    ),
    "contract.protocols": (
        "DatasetContext",
        "Discrepancy",
        "DiscrepancyContext",
        "Encoder",
        "EncoderContext",
        "Index",
        "IndexContext",
        "Known",
        "Item",
        "LayerwiseDiscrepancy",
        "Material",
        "Observer",
        "ObserverContext",
        "Part",
        "PartContext",
        "Representation",
        "Sampler",
        "SamplerContext",
        "SamplerState",
        "Selection",
        "StepAsideError",
    ),
    "contract.records": ("Record",),
    "data.collector": ("PairCollector",),
    "data.context": ("Context",),
    "data.importing": ("Imported", "Plan", "import_data"),
    "data.manifest": ("MANIFEST_NAME", "load_manifest"),
    "data.metadata": ("of_cell",),
    "data.records": ("collect", "data_folder"),
    "exports.exporting": ("export",),
    "exports.rows": ("to_dataset",),
    "data.own": ("made_here", "own_tag"),
    "evaluation.instances": ("reciprocal_ranks",),
    "evaluation.intervals": ("standard_errors",),
    "evaluation.ranking": ("average_precisions",),
    "io.feature_files": ("FeatureTable", "features_digest", "read_features"),
    "io.feature_kinds": ("is_features",),
    "io.files": ("write_atomically",),
    "io.tables": ("TableReader", "add_to_table", "write_table"),
    "io.tensors": ("load_tensors", "save_tensors", "tensors_digest"),
    "io.images": ("IMAGE_SUFFIXES",),
    "io.text": ("check_inside", "decode_line", "numbered_lines", "parse_json", "read_text", "shown"),
    "io.unpacking": ("Unpacked",),
    "retrieval.extracting": ("extract",),
    "retrieval.index": ("add_to_index", "build_index", "open_index", "remove_from_index"),
    "retrieval.searcher": ("Searcher",),
    "runs.evaluate": ("evaluate",),
    "runs.model": ("TrainedModel", "load"),
    "runs.setup": ("resolve_config",),
    "runs.train": ("Result", "resume", "train"),
}
"""Modules of the core, and what they lend to this one when it is first asked for."""

_LAZY = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - names are strings, known at import
    "API_VERSION",
    "DatasetSpec",
    "DiscrepancySpec",
    "EncoderSpec",
    "IndexSpec",
    "NoOptions",
    "ObserverSpec",
    "PartSpec",
    "SamplerSpec",
    "__version__",
    "hookimpl",
    *sorted(_LAZY),
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dckt_core' has no attribute '{name}'")
    return getattr(import_module(_LAZY[name]), name)
