"""`hf-dataset`: a folder that `save_to_disk` of Hugging Face's datasets wrote: one data set, or one a split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dckt_core import DataError, DatasetContext, PairSet, Record, UsageError, collect
from dckt_plugins.datasets.catalogue import HFDatasetOptions
from dckt_plugins.datasets.columns import Named, record_of
from dckt_plugins.datasets.pictures import Pictures, check_found

NAME = "hf-dataset"
ONE, MANY = "state.json", "dataset_dict.json"


def detect(path: Path) -> bool:
    """True for a folder with `state.json` and `dataset_info.json`, or with `dataset_dict.json`."""
    return path.is_dir() and ((path / MANY).is_file() or all((path / name).is_file() for name in (ONE, _INFO)))


_INFO = "dataset_info.json"


def records(location: Path, options: HFDatasetOptions, context: DatasetContext) -> Iterator[Record]:
    """The rows, split by split; pictures are not decoded."""
    for split, folder in _parts(location):
        check_found(location, folder, context)
        yield from _rows(location, folder, split, options)


def load(location: Path | None, options: HFDatasetOptions, context: DatasetContext) -> PairSet:
    """The pairs; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a folder that save_to_disk wrote")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _parts(location: Path) -> list[tuple[str | None, Path]]:
    if not (location / MANY).is_file():
        return [(None, location)]
    try:
        names = json.loads((location / MANY).read_text(encoding="utf-8"))["splits"]
        return [(str(name), location / str(name)) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{location / MANY}: does not say which splits there are") from None


def _rows(location: Path, folder: Path, split: str | None, options: HFDatasetOptions) -> Iterator[Record]:
    try:
        import datasets
    except ImportError:
        raise UsageError(f"{location}: needs datasets, which is not installed: pip install 'dckt[datasets]'") from None
    try:
        data: Any = datasets.load_from_disk(str(folder))
    except Exception as error:  # whatever it runs into in a broken folder
        raise DataError(f"{folder}: not a whole data set of datasets: {' '.join(str(error).split())}") from None
    naming = {}
    for column, kind in data.features.items():
        if isinstance(kind, datasets.Image):
            data = data.cast_column(column, datasets.Image(decode=False))
        elif isinstance(kind, datasets.ClassLabel):
            naming[column] = kind.names
    named = Named(
        options.image_column, options.text_column, options.label_column, options.split_column, options.id_column
    )
    columns, pictures = named.find(list(data.column_names), folder), Pictures(location, options.images)
    for number, row in enumerate(data, start=1):
        for column, names in naming.items():
            place = row[column]
            row[column] = names[place] if isinstance(place, int) and 0 <= place < len(names) else None
        record = record_of(folder, number, row, columns, pictures, typed=True, name=split or location.name)
        if split is None or record.fields.get("split") is not None:
            yield record
        else:
            yield Record(folder, number, {**record.fields, "split": split}, record.picture, record.fault)
