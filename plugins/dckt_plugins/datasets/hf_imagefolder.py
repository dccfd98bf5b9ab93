"""`hf-imagefolder`: Hugging Face's folder of images with `metadata.jsonl`, `metadata.csv` or `metadata.parquet`, for
all splits or one in each split's folder; its column `file_name` starts from the folder that it lies in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dckt_core import DataError, DatasetContext, PairSet, Record, UsageError, collect
from dckt_plugins.datasets import table
from dckt_plugins.datasets.catalogue import HFImageFolderOptions, TableOptions
from dckt_plugins.datasets.pictures import check_found, split_of

NAME = "hf-imagefolder"
FILES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


def detect(path: Path) -> bool:
    """True for a folder with such a file, or whose folders of splits have one."""
    return path.is_dir() and bool(_tables(path))


def records(location: Path, options: HFImageFolderOptions, context: DatasetContext) -> Iterator[Record]:
    """The rows of the tables, split by split."""
    found = _tables(location)
    if not found:
        raise DataError(f"{location}: no {' or '.join(FILES)} in it")
    said = {name: getattr(options, name) for name in ("text_column", "label_column", "split_column", "id_column")}
    for file in found:
        check_found(location, file, context)
        place = file.parent.relative_to(location).as_posix()
        split = split_of(place)
        how = TableOptions(image_column="file_name", images=".", **said)
        for record in table.records(file, how, context):
            image = record.fields.get("image")
            fields = dict(record.fields)
            if isinstance(image, str) and place != "." and record.picture is None:
                fields["image"] = f"{place}/{image}"
            if fields.get("split") is None:
                fields["split"] = split
            yield replace(record, fields=fields if not record.fault else {})


def load(location: Path | None, options: HFImageFolderOptions, context: DatasetContext) -> PairSet:
    """The pairs of all tables; raises `ManifestError` where they have problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a folder with {FILES[0]}")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _tables(folder: Path) -> list[Path]:
    places = [folder, *(one for one in sorted(folder.iterdir()) if one.is_dir() and split_of(one.name))]
    first = [next((place / name for name in FILES if (place / name).is_file()), None) for place in places]
    return [file for file in first if file is not None]
