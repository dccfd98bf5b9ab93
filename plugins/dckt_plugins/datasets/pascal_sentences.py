"""`pascal-sentences`: the Pascal Sentence data set of Rashtchian et al., "Collecting image annotations using Amazon's
Mechanical Turk", 2010. 1,000 photos in 20 classes, five sentences each, without splits.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Le

from dckt_core import DatasetContext, Pair, PairCollector, PairSet, UsageError
from dckt_plugins.datasets.catalogue import PascalSentencesOptions
from dckt_plugins.datasets.splits import draw_split

NAME = "pascal-sentences"
IMAGES, SENTENCES = "dataset", "sentence"
SUFFIXES = {".jpg", ".jpeg", ".png"}

Share = Annotated[float, Ge(0), Le(0.5)]


def detect(path: Path) -> bool:
    """True for a folder with `dataset/` and `sentence/`."""
    return all((path / name).is_dir() for name in (IMAGES, SENTENCES))


def load(location: Path | None, options: PascalSentencesOptions, context: DatasetContext) -> PairSet:
    """Every image with its sentences, by class and name; raises `ManifestError` where there are problems."""
    if options.val_fraction + options.test_fraction > 0.5:
        raise UsageError(
            f"data set '{NAME}': val_fraction and test_fraction together leave less than half for training"
        )
    collector = PairCollector(location, NAME, roots=context.image_roots)
    images = [file for file in _files(collector.folder / IMAGES) if file.suffix.lower() in SUFFIXES]
    for image in images:
        collector.add(image, None, partial(_entry, image, collector))
    with_image = {(image.parent.name, image.stem) for image in images}
    for text in _files(collector.folder / SENTENCES):
        if text.suffix == ".txt" and (text.parent.name, text.stem) not in with_image:
            collector.problem(text, None, f"has no image in {IMAGES}/{text.parent.name}")

    def arrange(pairs: list[Pair]) -> list[Pair]:
        pairs = draw_split(pairs, "test", options.test_fraction, of="train", seed=options.split_seed)
        share_of_the_rest = options.val_fraction / (1 - options.test_fraction)
        return draw_split(pairs, "val", share_of_the_rest, of="train", seed=options.split_seed)

    return collector.pair_set(arrange)


def _files(folder: Path) -> list[Path]:
    """What lies in the folders of the classes, by name, but hidden files."""
    return sorted(file for file in folder.glob("*/*") if not file.name.startswith("."))


def _entry(image: Path, collector: PairCollector) -> dict[str, Any]:
    label = image.parent.name
    content = collector.text(f"{SENTENCES}/{label}/{image.stem}.txt")
    sentences = [" ".join(line.split()) for line in content.splitlines() if line.strip()]
    if not sentences:
        raise ValueError(f"text '{SENTENCES}/{label}/{image.stem}.txt' is empty")
    return {
        "image": f"{IMAGES}/{label}/{image.name}",
        "text": " ".join(sentences),
        "captions": sentences,
        "label": label,
        "split": "train",
    }
