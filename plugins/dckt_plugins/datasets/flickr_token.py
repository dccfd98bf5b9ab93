"""`flickr-token`: the captions of Flickr30k and Flickr8k as published, `NAME.jpg#0<tab>A caption .` in each line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dckt_core import (
    DataError,
    DatasetContext,
    PairSet,
    Record,
    Split,
    UsageError,
    collect,
    data_folder,
    decode_line,
    numbered_lines,
)
from dckt_plugins.datasets.catalogue import CaptionListOptions
from dckt_plugins.datasets.json_stream import head
from dckt_plugins.datasets.pictures import Pictures, check_found

NAME = "flickr-token"
FILES = ("results_20130124.token", "results.token", "Flickr8k.token.txt")
LISTS: dict[Split, str] = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}


def detect(path: Path) -> bool:
    """True for a file of that kind, and for a folder with one of its published names."""
    if path.is_dir():
        return any((path / name).is_file() for name in FILES)
    named = path.suffix == ".token" or path.name.endswith(".token.txt")
    return named and path.is_file() and "#0\t" in head(path, 4096)


def records(location: Path, options: CaptionListOptions, context: DatasetContext) -> Iterator[Record]:
    """The lines in order; the published lists of splits are followed where they lie beside."""
    file = location
    if location.is_dir():
        file = next((location / name for name in FILES if (location / name).is_file()), location / FILES[0])
    check_found(location, file, context)
    pictures, splits = Pictures(data_folder(location), options.images), _splits(file.parent)
    try:
        with file.open("rb") as stream:
            for number, line in numbered_lines(stream):
                try:
                    name, tab, caption = decode_line(line).partition("\t")
                except ValueError as error:
                    yield Record(file, number, fault=str(error))
                    continue
                image, mark, count = name.strip().rpartition("#")
                if not tab or not mark or not count.isdecimal():
                    yield Record(file, number, fault="not NAME.jpg#NUMBER, a tab and a caption")
                    continue
                fields = {"image": pictures.path(image), "text": caption.strip(), "id": name.strip()}
                yield Record(file, number, {**fields, "split": splits.get(image)})
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None


def load(location: Path | None, options: CaptionListOptions, context: DatasetContext) -> PairSet:
    """A pair for each caption; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a file such as {FILES[0]}, or its folder")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _splits(folder: Path) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, name in LISTS.items():
        if (folder / name).is_file():
            for line in (folder / name).read_text(encoding="utf-8", errors="replace").splitlines():
                splits[line.strip()] = split
    return splits
