"""The plugins in the box, as the registry finds them."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dckt_core.contract.discovery import Registry, discover
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.data.manifest import ManifestError


@cache
def registry() -> Registry:
    return discover(plugins=False)


def spec(kind: str, name: str) -> Any:
    """`spec("dataset", "jsonl")`; its options' defaults are checked."""
    return registry().find(kind, name).spec


@cache
def _unpacked() -> Path:
    """Where layouts unpack pictures while tests run."""
    folder = tempfile.TemporaryDirectory(prefix="dckt-tests-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def load_pairs(layout: str, location: Path | None, **options: Any) -> PairSet:
    """A data set in a layout; options as `dckt datasets check --layout-opt` has them."""
    chosen = spec("dataset", layout)
    parsed = parse_options(chosen, options, where="the test")
    pair_set: PairSet = chosen.load(location, parsed, DatasetContext(cache_dir=_unpacked()))
    return pair_set


def refusal(load: Callable[..., PairSet], location: Path, **options: Any) -> ManifestError:
    """What is said of a spoilt data set; its `good` holds the pairs that are kept."""
    with pytest.raises(ManifestError) as caught:
        load(location, **options)
    return caught.value
