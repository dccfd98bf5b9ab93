"""`karpathy`: captions and splits in one JSON file, as Karpathy and Fei-Fei, "Deep visual-semantic alignments for
generating image descriptions", 2015, published them for Flickr8k, Flickr30k and COCO.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dckt_core import DataError, DatasetContext, PairSet, Record, UsageError, collect, data_folder
from dckt_plugins.datasets.catalogue import CaptionListOptions
from dckt_plugins.datasets.json_stream import elements, head
from dckt_plugins.datasets.pictures import FOLDERS, Pictures, check_found

NAME = "karpathy"
FILES = ("dataset_coco.json", "dataset_flickr30k.json", "dataset_flickr8k.json", "dataset.json")


def detect(path: Path) -> bool:
    """True for a JSON file that tells of images with sentences, and for a folder with one of its published names."""
    if path.is_dir():
        return any(_is_one(path / name) for name in FILES)
    return path.suffix.lower() == ".json" and _is_one(path)


def records(location: Path, options: CaptionListOptions, context: DatasetContext) -> Iterator[Record]:
    """The images in order, each with its sentences."""
    file = location
    if location.is_dir():
        file = next((location / name for name in FILES if (location / name).is_file()), location / FILES[0])
    check_found(location, file, context)
    pictures, number = Pictures(data_folder(location), options.images, (*FOLDERS, "coco", "train2014")), 0
    try:
        for key, entry in elements(file):
            if key == "images":
                number += 1
                yield _record(file, number, entry, pictures)
    except ValueError as error:
        yield Record(file, number + 1, fault=f"{error}, so that nothing is read from here on", cut=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def load(location: Path | None, options: CaptionListOptions, context: DatasetContext) -> PairSet:
    """A pair for each sentence; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a file such as {FILES[0]}, or its folder")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _record(file: Path, number: int, entry: Any, pictures: Pictures) -> Record:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("filename"), str):
        return Record(file, number, fault="no entry of an image: 'filename' is missing")
    sentences = entry.get("sentences")
    said = [one.get("raw") for one in sentences if isinstance(one, Mapping)] if isinstance(sentences, list) else []
    captions = [" ".join(one.split()) for one in said if isinstance(one, str) and one.strip()]
    if not captions:
        return Record(file, number, fault="it has no sentences with 'raw'")
    place = entry.get("filepath")
    name = f"{place}/{entry['filename']}" if isinstance(place, str) and place else entry["filename"]
    taken = ("filename", "filepath", "sentences", "sentids", "split")
    metadata = {key: value for key, value in entry.items() if key not in taken}
    fields = {"image": pictures.path(name), "captions": captions, "split": entry.get("split"), "metadata": metadata}
    return Record(file, number, fields)


def _is_one(file: Path) -> bool:
    start = head(file)
    return '"images"' in start and ('"sentids"' in start or '"sentences"' in start)
