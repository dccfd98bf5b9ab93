"""`xmedia`: PKU XMedia and XMediaNet, of which images and texts are read (Peng et al., "An overview of cross-media
retrieval: concepts, methodologies, benchmarks and challenges", 2018).

XMediaNet has 40,000 images and as many texts in 200 classes, 32,000 of each for training; XMedia 5,000 in 20, 4,000 for
training. An image and a text are a pair by their place in the lists, not by origin: all that they share is the class.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from dckt_core import DatasetContext, Pair, PairCollector, PairSet, Split, shown
from dckt_plugins.datasets.catalogue import XMediaOptions
from dckt_plugins.datasets.splits import draw_split

NAME = "xmedia"
LISTS: dict[Split, tuple[str, str]] = {
    "train": ("list/train_img.txt", "list/train_txt.txt"),
    "test": ("list/test_img.txt", "list/test_txt.txt"),
}
"""Of each split, the list of images and the list of texts."""


def detect(path: Path) -> bool:
    """True for a folder with the four lists."""
    return all((path / name).is_file() for names in LISTS.values() for name in names)


def load(location: Path | None, options: XMediaOptions, context: DatasetContext) -> PairSet:
    """Line by line, an image and a text of one class; raises `ManifestError` where lists have problems."""
    collector = PairCollector(location, NAME, roots=context.image_roots)
    for split, (image_list, text_list) in LISTS.items():
        # By number, so that a bad line of one list does not move the others against those of the other list.
        images, texts = dict(collector.lines(image_list)), dict(collector.lines(text_list))
        for number, line in images.items():
            read = partial(_entry, line, texts.get(number), split, text_list, options, collector)
            collector.add(collector.folder / image_list, number, read)
        for number in sorted(texts.keys() - images.keys()):
            reason = f"{image_list} has no image for it on its line {number}"
            collector.problem(collector.folder / text_list, number, reason)

    def arrange(pairs: list[Pair]) -> list[Pair]:
        return draw_split(pairs, "val", options.val_fraction, of=options.val_of, seed=options.split_seed)

    return collector.pair_set(arrange)


def _entry(
    image_line: str,
    text_line: str | None,
    split: Split,
    text_list: str,
    options: XMediaOptions,
    collector: PairCollector,
) -> dict[str, Any]:
    if text_line is None:
        raise ValueError(f"{text_list} has no text for it on the same line")
    (image, label), (text, other) = _path_and_label(image_line), _path_and_label(text_line)
    if label != other:
        raise ValueError(f"its label is {shown(label)}, and that of the text of its line is {shown(other)}")
    content = collector.text(_in(options.texts, text))
    return {"image": _in(options.images, image), "text": content, "label": label, "split": split}


def _path_and_label(line: str) -> tuple[str, str]:
    """The label is the last word, for a path may hold blanks."""
    parts = line.strip().rsplit(maxsplit=1)
    if len(parts) != 2:
        raise ValueError(f"not a path and a label with a blank between them, but {shown(line)}")
    return parts[0], parts[1]


def _in(folder: str, path: str) -> str:
    return path if folder == "." else f"{folder}/{path}"
