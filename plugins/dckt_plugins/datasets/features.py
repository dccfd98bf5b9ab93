"""`features`: a data set that is one file of features of both media, with what is known of each row beside them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from dckt_core import (
    MEDIA,
    DataError,
    DatasetContext,
    Medium,
    Metadata,
    Pair,
    PairSet,
    Split,
    UsageError,
    check_inside,
    is_features,
    of_cell,
)
from dckt_plugins.datasets.catalogue import FeaturesOptions

if TYPE_CHECKING:  # torch stays out as long as no such file is read
    from dckt_core import FeatureTable

NAME = "features"
UNKNOWN = ("", "-1")
"""What stands for a label that nobody knows, beside a missing one."""


def detect(path: Path) -> bool:
    """True for a file whose first bytes are those of a file of features."""
    return path.is_file() and is_features(path)


def load(location: Path | None, options: FeaturesOptions, context: DatasetContext) -> PairSet:
    """The pairs of a file: row i of the images and row i of the texts belong together.

    Raises:
        DataError: it has not as many images as texts, does not say what its rows are for, names an image outside its
            folder.
    """
    from dckt_core import read_features

    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: a file with features of images and of texts")
    tables: dict[Medium, FeatureTable] = {medium: read_features(location, medium=medium) for medium in MEDIA}
    images, texts = tables["image"], tables["text"]
    if images.array == texts.array or len(images) != len(texts):
        counted = "one array of features" if images.array == texts.array else f"{len(images)} and {len(texts)} rows"
        raise DataError(f"{location}: {counted}, where a row of each medium is expected for each pair: images, texts")
    splits = _splits(location, images, options)
    paths = _paths(location, images, context.image_roots)
    told = images.facts.get("text")
    spoken = told or [f"features {_digest(row)}" for row in texts.rows]
    labels: Sequence[str | None] = images.facts.get("label", [None] * len(images))
    # A digest says nothing to people: where there is no text, the row is told of, too.
    places: Iterable[Metadata] = [
        {} if told else {"file": location.name, "row": number} for number in range(len(images))
    ]
    known = [{**place, **beside} for place, beside in zip(places, _metadata(location, images), strict=True)]
    pairs = [
        Pair(key, path, text or "", None if label in UNKNOWN else label, split, metadata=beside)
        for key, path, text, label, split, beside in zip(images.ids, paths, spoken, labels, splits, known, strict=True)
    ]
    names = {} if told else _nobody_knows(pairs)
    return PairSet(location.stem, str(location), pairs, {**names, **(texts.classes.names if texts.classes else {})})


def _nobody_knows(pairs: Sequence[Pair]) -> Mapping[str, tuple[str, ...]]:
    """What classes are called where there is no word at all: nothing."""
    known = {pair.label for pair in pairs if pair.split == "train" and pair.label is not None}
    return dict.fromkeys(sorted(known), ())


def _paths(location: Path, table: FeatureTable, roots: Sequence[Path]) -> list[Path]:
    """Where each row's picture would be, though none need be there; rows that are one picture have one path."""
    named, root = table.facts.get("image") or [None] * len(table), os.path.realpath(table.root)
    paths = []
    for number, (name, key) in enumerate(zip(named, _names_of_equal(table.ids, table.rows), strict=True)):
        try:
            check_inside(root, name or key, "image", there=False, roots=roots)
            paths.append(table.root / (name or key))
        except ValueError as error:
            if name:
                raise DataError(f"{location}: row {number}: {error}") from None
            paths.append(table.root / quote(key, safe=""))  # an id may have any letters
    return paths


def _metadata(location: Path, table: FeatureTable) -> Iterator[Metadata]:
    """What else the file tells of each row."""
    for number, cell in enumerate(table.facts.get("metadata", [None] * len(table))):
        try:
            yield of_cell(cell) if cell else {}
        except ValueError as error:
            raise DataError(f"{location}: row {number}: {error}") from None


def _splits(location: Path, table: FeatureTable, options: FeaturesOptions) -> Iterable[Split]:
    if "split" not in table.facts:
        if options.split is None:
            raise DataError(
                f"{location}: no array 'split' says which rows are for train, val and test; one that all are for can "
                "be said: split=train (--set source.split=train, or --layout-opt split=train of a check)"
            )
        return [options.split] * len(table)
    splits: list[Split] = []
    for number, said in enumerate(table.facts["split"]):
        if said not in ("train", "val", "test"):
            raise DataError(f"{location}: row {number}: its split is {said!r}, and neither train, val nor test")
        splits.append(said)  # type: ignore[arg-type]  # looked at just now
    return splits


def _names_of_equal(ids: Sequence[str], rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[str]:
    """For each row the first id of an equal one: one picture in several pairs."""
    first: dict[bytes, str] = {}
    return [first.setdefault(row.tobytes(), key) for key, row in zip(ids, rows, strict=True)]


def _digest(row: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    """Stands for the text of a row: equal rows are one text, in whatever file they are."""
    return hashlib.blake2b((row + 0.0).astype(np.float32).tobytes(), digest_size=6).hexdigest()
