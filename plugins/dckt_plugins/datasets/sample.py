"""The sample data set, made on the spot with no download, so that everything can be tried at once.

`sample-source`: 26 capital letters and 10 digits drawn in fonts that matplotlib ships, with sentences about them;
24 drawings a class for training, 6 for validation. `sample-target`: handwritten digits that were really scanned
(8 x 8 pixels, shipped by scikit-learn) with sentences in other words; 10 a class and 450 that nobody has labelled for
training, 20 a class for validation, 45 for the test. Another label space, another look, another wording: small enough
for two CPU cores, not solved by a rule.

Both are written once, as any user's data set would be, into the cache: PNG files, `pairs.jsonl` and `classes.toml`.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dckt_core import (
    MANIFEST_NAME,
    DataError,
    DatasetContext,
    NoOptions,
    PairSet,
    UsageError,
    load_manifest,
)

if TYPE_CHECKING:
    from PIL.Image import Image


VERSION = 3
"""In the folder's name; counts up with every change of what is made, so that an old folder is not taken for it."""

SEED = 1

SOURCE_SIZES = {"train": 24, "val": 6}
TARGET_SIZES = {"train": 10, "val": 20, "test": 45}
"""Labelled pairs a class in each split."""
TARGET_UNLABELLED = 450
"""Training pairs of the target without a label: a random draw of the scans that are left, of no class more or less."""

Row = tuple[str, "Image", str, str | None, str]
"""File name without suffix, picture, text, label, split."""


def source_rows() -> Iterator[Row]:
    """The pairs of `sample-source`, class by class; the same at every call."""
    import numpy as np

    from dckt_plugins.datasets.sample_pictures import FONTS, font_folder, printed
    from dckt_plugins.datasets.sample_words import CHARACTERS, printed_text

    draw = np.random.default_rng([SEED, 0])
    folder = font_folder()
    for character in CHARACTERS:
        label = f"{'digit' if character.isdigit() else 'letter'} {character}"
        for split, size in SOURCE_SIZES.items():
            for number in range(size):
                name = list(FONTS)[int(draw.integers(len(FONTS)))]
                picture = printed(character, folder / f"{name}.ttf", draw)
                text = printed_text(character, FONTS[name], split, draw)
                yield f"{label.replace(' ', '-')}-{split}-{number:02}", picture, text, label, split


def target_rows() -> Iterator[Row]:
    """The pairs of `sample-target`, class by class, then those without a label; the same at every call."""
    import numpy as np
    from sklearn.datasets import load_digits

    from dckt_plugins.datasets.sample_pictures import scanned
    from dckt_plugins.datasets.sample_words import DIGITS, written_text

    draw = np.random.default_rng([SEED, 1])
    scans = load_digits()
    typical_ink = np.median(scans.images.sum(axis=(1, 2)))
    left: list[int] = []

    def drawn(row: int, split: str, draw: np.random.Generator) -> tuple[Image, str]:
        scan = scans.images[row]
        ink = "thick" if scan.sum() > typical_ink else "thin"
        return scanned(scan), written_text(int(scans.target[row]), ink, split, draw)

    for digit, name in enumerate(DIGITS):
        rows = iter(draw.permutation(np.flatnonzero(scans.target == digit)))
        for split, size in TARGET_SIZES.items():
            for number in range(size):
                picture, text = drawn(next(rows), split, draw)
                yield f"{name}-{split}-{number:02}", picture, text, name, split
        left += rows
    draw = np.random.default_rng([SEED, 2])
    for number, row in enumerate(draw.permutation(left)[:TARGET_UNLABELLED]):
        picture, text = drawn(row, "train", draw)
        yield f"scan-{number:03}", picture, text, None, "train"


def target_names() -> dict[str, list[str]]:
    """What the classes of `sample-target` are called."""
    from dckt_plugins.datasets.sample_words import DIGITS

    return {name: [name, f"the digit {digit}"] for digit, name in enumerate(DIGITS)}


def load_source(location: Path | None, options: NoOptions, context: DatasetContext) -> PairSet:
    """`sample-source`, made where it is not there yet."""
    total = 36 * sum(SOURCE_SIZES.values())
    return _load("sample-source", location, context, source_rows, dict, total, "drawing the sample's source")


def load_target(location: Path | None, options: NoOptions, context: DatasetContext) -> PairSet:
    """`sample-target`, made where it is not there yet."""
    total = 10 * sum(TARGET_SIZES.values()) + TARGET_UNLABELLED
    return _load("sample-target", location, context, target_rows, target_names, total, "writing the sample's target")


def _load(
    name: str,
    location: Path | None,
    context: DatasetContext,
    rows: Callable[[], Iterator[Row]],
    names: Callable[[], dict[str, list[str]]],
    total: int,
    what: str,
) -> PairSet:
    if location is not None:
        raise UsageError(f"data set '{name}' is made on the spot and takes no path")
    folder = context.cache_dir / "sample" / f"{name}-v{VERSION}"
    if not folder.is_dir():
        try:
            _make(folder, rows(), names(), lambda done: context.progress(done, total, what))
        except OSError as error:
            raise DataError(f"{folder}: cannot be written: {error.strerror or error}") from None
    try:
        pair_set = load_manifest(folder, name=name)
    except DataError as error:
        raise DataError(f"{error}; delete {folder} to have it made anew") from None
    return replace(pair_set, origin=name)


def _make(folder: Path, rows: Iterator[Row], names: dict[str, list[str]], progress: Callable[[int], None]) -> None:
    """Writes a data set beside `folder`, then renames it: another process sees all of it or nothing."""
    part = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    (part / "images").mkdir(parents=True)
    try:
        if names:
            lines = [f"{label} = {json.dumps(called)}\n" for label, called in names.items()]
            (part / "classes.toml").write_text("".join(lines), encoding="utf-8", newline="\n")
        with (part / MANIFEST_NAME).open("w", encoding="utf-8", newline="\n") as manifest:
            for done, (name, picture, text, label, split) in enumerate(rows, start=1):
                image = f"images/{name}.png"
                picture.save(part / image)
                row = {"image": image, "text": text, "label": label, "split": split}
                row = {key: value for key, value in row.items() if value is not None}
                manifest.write(json.dumps(row, ensure_ascii=False) + "\n")
                progress(done)
        try:
            part.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is one, another process was faster, and its files are the same
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
