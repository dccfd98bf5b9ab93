"""`my-plugin`: a data set layout for dckt. As it stands, a folder with `my-plugin.csv`; read your own format here."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core import SPLITS, DataError, DatasetSpec, Pair, PairSet, UsageError, hookimpl

if TYPE_CHECKING:
    from dckt_core import DatasetContext

MANIFEST = "my-plugin.csv"
COLUMNS = {"image", "text", "label", "split"}


@hookimpl
def dckt_datasets() -> list[DatasetSpec[Any]]:
    return [
        DatasetSpec(
            name="my-plugin",
            summary=f"a folder with {MANIFEST}: image, text, label, split",
            load=load,
            detect=detect,
            api="1.0",
        )
    ]


def detect(path: Path) -> bool:
    """Whether this layout lies at a path. Cheap, and true for this layout alone."""
    return (path / MANIFEST).is_file()


def load(location: Path | None, options: object, context: DatasetContext) -> PairSet:
    """All pairs of all splits; the label space of a data set is its own."""
    if location is None:
        raise UsageError("data set 'my-plugin' needs a path")
    pairs = []
    try:
        with (location / MANIFEST).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if not set(reader.fieldnames or ()) >= COLUMNS:
                raise DataError(f"{file.name}: its columns must be {', '.join(sorted(COLUMNS))}")
            for row in reader:
                where = f"{file.name}:{reader.line_num}"
                image, split = location / row["image"], row["split"]
                if not image.is_file():
                    raise DataError(f"{where}: no such image: {image}")
                if split not in SPLITS:
                    raise DataError(f"{where}: split must be one of {', '.join(SPLITS)}, not '{split}'")
                pairs.append(Pair(f"{reader.line_num}", image, row["text"], row["label"], split))
    except OSError as error:
        raise DataError(f"{location / MANIFEST}: cannot be read: {error.strerror}") from None
    return PairSet(location.name, str(location), pairs)
