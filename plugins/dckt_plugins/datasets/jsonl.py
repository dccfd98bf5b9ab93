"""A folder with `pairs.jsonl`, dckt's own layout (docs/data.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core import DatasetSpec, PairSet, UsageError, hookimpl
from dckt_core.contract.specs import NoOptions
from dckt_core.data.manifest import MANIFEST_NAME, load_manifest

if TYPE_CHECKING:
    from dckt_core import DatasetContext


def detect(path: Path) -> bool:
    """True for a folder that holds `pairs.jsonl`, and for any `.jsonl` file."""
    return (path / MANIFEST_NAME).is_file() or (path.suffix == ".jsonl" and path.is_file())


def load(location: Path | None, options: NoOptions, context: DatasetContext) -> PairSet:
    """The pairs of a manifest; raises `ManifestError` where it has problems."""
    if location is None:
        raise UsageError("data set 'jsonl' needs a path: a folder with pairs.jsonl, or the file")
    return load_manifest(location)


@hookimpl
def dckt_datasets() -> list[DatasetSpec[Any]]:
    return [
        DatasetSpec(
            name="jsonl",
            summary="a folder with pairs.jsonl: one image-text pair a line, images beside it",
            load=load,
            detect=detect,
            api="1.0",
        )
    ]
