"""`class-folders`: pictures in folders that are called as their classes, in folders of splits or not, as ImageNet and
torchvision's ImageFolder have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dckt_core import DatasetContext, PairSet, Record, UsageError, collect, shown
from dckt_plugins.datasets import text_files
from dckt_plugins.datasets.catalogue import ClassFoldersOptions
from dckt_plugins.datasets.pictures import folders_of, has_splits, is_picture, split_of, walk

NAME = "class-folders"
_OTHERS = ("pairs.jsonl", "pairs.csv", "metadata.jsonl", "metadata.csv", "captions.csv", "captions.txt")


def detect(path: Path) -> bool:
    """True for a folder of two folders or more that all hold pictures, or whose folders of splits are such."""
    if not path.is_dir() or text_files.detect(path) or any((path / name).is_file() for name in _OTHERS):
        return False
    folders = folders_of(path)
    if has_splits(path):
        folders = [inner for folder in folders for inner in folders_of(folder)]
    holding = [folder for folder in folders if any(is_picture(file.name) for file in folder.iterdir())]
    return len({folder.name for folder in holding}) > 1 and len(holding) == len(folders)


def records(location: Path, options: ClassFoldersOptions, context: DatasetContext) -> Iterator[Record]:
    """The pictures, class by class; where a text is asked for, each has one."""
    if options.text and "{}" not in options.text:
        raise UsageError(
            f"layout '{NAME}': text {shown(options.text)} has no {{}} for the class, and would be that of all"
        )
    splits = has_splits(location)
    for place, files in walk(location):
        parts = place.split("/") if place else []
        split = split_of(parts[0]) if parts and splits else None
        rest = parts[1:] if split else parts
        if not rest:
            continue
        for name in files:
            if is_picture(name):
                fields = {"image": f"{place}/{name}", "label": rest[-1], "split": split}
                if options.text:
                    spoken = " ".join(rest[-1].replace("_", " ").replace("-", " ").split())
                    fields["text"] = options.text.replace("{}", spoken)
                yield Record(location / place / name, None, fields, made=bool(options.text))


def load(location: Path | None, options: ClassFoldersOptions, context: DatasetContext) -> PairSet:
    """The pictures with their classes; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of the folder that classes' folders are in")
    return collect(location, NAME, records(location, options, context), context, split=options.split)
