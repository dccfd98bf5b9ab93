"""`coco-captions`: captions of COCO (Chen et al., "Microsoft COCO captions: data collection and evaluation server",
2015), `annotations/captions_train2017.json` with pictures in `train2017/`, and what has that form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dckt_core import DataError, DatasetContext, PairSet, Record, UsageError, collect, data_folder
from dckt_plugins.datasets.catalogue import CaptionListOptions
from dckt_plugins.datasets.json_stream import elements, head
from dckt_plugins.datasets.pictures import FOLDERS, Pictures, check_found

NAME = "coco-captions"
PATTERN = "captions_*.json"

_SPLIT = re.compile(r"captions_([a-z]+?)\d*$")


def detect(path: Path) -> bool:
    """True for a file `captions_*.json` that tells of images or annotations, and for a folder with one, or with
    `annotations/` that has one.
    """
    if path.is_dir():
        return bool(_files(path))
    return path.match(PATTERN) and path.is_file() and _is_one(path)


def records(location: Path, options: CaptionListOptions, context: DatasetContext) -> Iterator[Record]:
    """The annotations in order, file by file. What a file says of its images is kept in memory meanwhile."""
    for file in _files(location) if location.is_dir() else [location]:
        check_found(location, file, context)
        yield from _of_file(data_folder(location), file, options)


def load(location: Path | None, options: CaptionListOptions, context: DatasetContext) -> PairSet:
    """A pair for each annotation; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a file {PATTERN}, or of the folder of annotations/")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _of_file(folder: Path, file: Path, options: CaptionListOptions) -> Iterator[Record]:
    match = _SPLIT.match(file.stem)
    split, part = (match[1] if match else None), file.stem.removeprefix("captions_")
    guesses = (part, f"images/{part}", *FOLDERS)
    pictures, number = Pictures(folder, options.images, guesses), 0
    try:
        images = {
            entry["id"]: json.dumps(entry).encode()  # a third of what objects take
            for key, entry in elements(file)
            if key == "images" and isinstance(entry, Mapping) and isinstance(entry.get("id"), int | str)
        }
        for key, entry in elements(file):
            if key == "annotations":
                number += 1
                yield _record(file, number, entry, images, pictures, split)
    except ValueError as error:
        yield Record(file, number + 1, fault=f"{error}, so that nothing is read from here on", cut=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def _record(
    file: Path, number: int, entry: Any, images: Mapping[int | str, bytes], pictures: Pictures, split: str | None
) -> Record:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("caption"), str):
        return Record(file, number, fault="no annotation with a 'caption'")
    of = entry.get("image_id")
    stored = images.get(of) if isinstance(of, int | str) else None
    image = json.loads(stored) if stored is not None else {}
    if not isinstance(image.get("file_name"), str):
        return Record(file, number, fault="no image in the file has its 'image_id'")
    known = {key: value for key, value in image.items() if key not in ("file_name", "id")}
    fields = {
        "image": pictures.path(image["file_name"]),
        "text": " ".join(entry["caption"].split()),
        "id": str(entry["id"]) if "id" in entry else None,
        "split": split,
        "metadata": {"image_id": of, **known},
    }
    return Record(file, number, fields)


def _files(folder: Path) -> list[Path]:
    found = [*sorted(folder.glob(PATTERN)), *sorted((folder / "annotations").glob(PATTERN))]
    return [file for file in found if _is_one(file)]


def _is_one(file: Path) -> bool:
    start = head(file)
    return start.lstrip().startswith("{") and any(f'"{key}"' in start for key in ("images", "annotations"))
