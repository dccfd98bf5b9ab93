"""`text-files`: pictures with a text of the same name beside each, `a.jpg` and `a.txt`, in folders as they may be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from dckt_core import DatasetContext, PairSet, Record, UsageError, check_inside, collect, parse_json, read_text
from dckt_plugins.datasets.catalogue import TextFilesOptions
from dckt_plugins.datasets.pictures import has_splits, is_picture, split_of, walk

NAME = "text-files"
SEEN = 50
"""Folders that are looked into to tell what it is."""


def detect(path: Path) -> bool:
    """True for a folder with a picture and a text of one name beside each other."""
    if not path.is_dir() or any((path / name).is_file() for name in ("pairs.jsonl", "pairs.csv")):
        return False
    for _, files in islice(walk(path), SEEN):
        texts = {PurePosixPath(name).stem for name in files if name.lower().endswith(".txt")}
        if any(is_picture(name) and PurePosixPath(name).stem in texts for name in files):
            return True
    return False


def records(location: Path, options: TextFilesOptions, context: DatasetContext) -> Iterator[Record]:
    """The pictures, folder by folder; one with no text of its name stands alone, and a text with no picture of its
    name, such as README.txt, is none of the data's. A line is a caption of its own.
    """
    splits, root = has_splits(location), os.path.realpath(location)
    for place, files in walk(location):
        stems = {PurePosixPath(name).stem: name for name in files if name.lower().endswith(".txt")}
        notes = {PurePosixPath(name).stem: name for name in files if name.lower().endswith(".json")}
        split, label = _said(place, options, splits=splits)
        for name in files:
            if not is_picture(name):
                continue
            path, stem = f"{place}/{name}" if place else name, PurePosixPath(name).stem
            fields: dict[str, Any] = {"image": path, "split": split, "label": label}
            beside = path
            try:
                for beside in (f"{place}/{one[stem]}".lstrip("/") for one in (stems, notes) if stem in one):
                    check_inside(root, beside, "text", roots=context.image_roots)
                    said = read_text(location / beside)
                    fields |= _told(said) if beside.lower().endswith(".txt") else {"metadata": parse_json(said)}
            except ValueError as error:
                yield Record(location / beside, None, fault=str(error))
                continue
            yield Record(location / path, None, fields)


def load(location: Path | None, options: TextFilesOptions, context: DatasetContext) -> PairSet:
    """A pair for each line of a text; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of a folder of pictures with texts beside them")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _told(text: str) -> dict[str, Any]:
    captions = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return {"captions": captions} if captions else {"text": ""}


def _said(place: str, options: TextFilesOptions, *, splits: bool) -> tuple[str | None, str | None]:
    """What the folders say: a split by the first one's name, a class by the last one's, where that is asked for."""
    parts = place.split("/") if place else []
    split = split_of(parts[0]) if parts and splits else None
    rest = parts[1:] if split else parts
    return split, (rest[-1] if rest and options.classes else None)
