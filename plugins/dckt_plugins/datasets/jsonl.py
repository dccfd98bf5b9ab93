"""A folder with `pairs.jsonl`, dckt's own layout (docs/data.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dckt_core import (
    MANIFEST_NAME,
    DatasetContext,
    NoOptions,
    PairSet,
    Record,
    UsageError,
    load_manifest,
)
from dckt_plugins.datasets import table
from dckt_plugins.datasets.catalogue import TableOptions


def detect(path: Path) -> bool:
    """True for a folder that holds `pairs.jsonl`, and for any `.jsonl` file."""
    return (path / MANIFEST_NAME).is_file() or (path.suffix == ".jsonl" and path.is_file())


def load(location: Path | None, options: NoOptions, context: DatasetContext) -> PairSet:
    """The pairs of a manifest; raises `ManifestError` where it has problems."""
    if location is None:
        raise UsageError("data set 'jsonl' needs a path: a folder with pairs.jsonl, or the file")
    return load_manifest(location, pictures=context.pictures, roots=context.image_roots)


def records(location: Path, options: NoOptions, context: DatasetContext) -> Iterator[Record]:
    """The lines of a manifest as they stand, of whatever spelling: what `dckt import` brings into order."""
    file = location / MANIFEST_NAME if location.is_dir() else location
    return table.records(file, TableOptions(), context)
