"""`nus-wide-10k`: ten classes of NUS-WIDE (Chua et al. 2009), 1,000 images each, as Feng et al. took them in
"Cross-modal retrieval with correspondence autoencoder", 2014: of exactly one of the ten classes, with tags as text.

A list of their images is no part of NUS-WIDE, so the subset is drawn here, by a seed, out of NUS-WIDE as published.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from annotated_types import Ge, Le

from dckt_core import DatasetContext, Pair, PairCollector, PairSet, shown
from dckt_plugins.datasets.catalogue import NUSWide10kOptions
from dckt_plugins.datasets.splits import draw_split, rank

NAME = "nus-wide-10k"
IMAGE_LIST = "ImageList/Imagelist.txt"
TAGS = "NUS_WID_Tags/All_Tags.txt"
LABELS = "Groundtruth/AllLabels/Labels_{}.txt"
IMAGES = "Flickr"
CLASSES = ("animal", "clouds", "flowers", "food", "grass", "person", "sky", "toy", "water", "window")

Share = Annotated[float, Ge(0), Le(0.25)]


def detect(path: Path) -> bool:
    """True for a folder with NUS-WIDE's list of images and its tags."""
    return all((path / name).is_file() for name in (IMAGE_LIST, TAGS))


def load(location: Path | None, options: NUSWide10kOptions, context: DatasetContext) -> PairSet:
    """The drawn pairs in the list's order; raises `ManifestError` where there are problems."""
    collector = PairCollector(location, NAME, roots=context.image_roots)
    images = {number: f"{IMAGES}/{line.strip()}".replace("\\", "/") for number, line in collector.lines(IMAGE_LIST)}
    tags = dict(collector.lines(TAGS))
    labels = _single_labels(collector, images)
    candidates = [number for number in labels if len(tags.get(number, "").split()) > 1]
    for number in _drawn(candidates, images, labels, options, collector):
        read = partial(_entry, images[number], tags[number], number, labels[number])
        collector.add(collector.folder / IMAGE_LIST, number, read)

    def arrange(pairs: list[Pair]) -> list[Pair]:
        pairs = draw_split(pairs, "test", options.test_fraction, of="train", seed=options.split_seed)
        share_of_the_rest = options.val_fraction / (1 - options.test_fraction)
        return draw_split(pairs, "val", share_of_the_rest, of="train", seed=options.split_seed)

    return collector.pair_set(arrange)


def _single_labels(collector: PairCollector, images: dict[int, str]) -> dict[int, str]:
    """The class of each image that belongs to exactly one of the ten, by line number of the list."""
    found: dict[int, list[str]] = defaultdict(list)
    for label in CLASSES:
        file = LABELS.format(label)
        for number, line in collector.lines(file):
            word = line.strip()
            if word not in ("0", "1"):
                collector.problem(collector.folder / file, number, f"not 0 or 1, but {shown(word)}")
            elif number not in images:
                reason = f"{IMAGE_LIST} has no image on its line {number}"
                collector.problem(collector.folder / file, number, reason)
                break
            elif word == "1":
                found[number].append(label)
    return {number: labels[0] for number, labels in found.items() if len(labels) == 1}


def _drawn(
    candidates: list[int],
    images: dict[int, str],
    labels: dict[int, str],
    options: NUSWide10kOptions,
    collector: PairCollector,
) -> list[int]:
    """Of each class `per_class` lines of the list, by the seed."""
    drawn: list[int] = []
    left = dict.fromkeys(CLASSES, options.per_class)
    for number in sorted(candidates, key=lambda number: rank(images[number], "subset", options.split_seed)):
        if left[labels[number]] and not (options.present and not collector.holds(images[number])):
            drawn.append(number)
            left[labels[number]] -= 1
    return sorted(drawn)


def _entry(image: str, tag_line: str, number: int, label: str) -> dict[str, Any]:
    photo, *tags = tag_line.split()
    stem = PurePosixPath(image).stem
    if stem.rpartition("_")[2] != photo:
        raise ValueError(f"{TAGS} is about photo {shown(photo)} on its line {number}, not about {shown(stem)}")
    return {"image": image, "text": " ".join(tags), "label": label, "split": "train"}
