"""`wikipedia`: the Wikipedia data set of Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", 2010.

2,866 sections of featured articles, each with an image, in 10 categories: 2,173 for training, 693 for the test.
"""

from __future__ import annotations

import html
import re
from functools import partial
from pathlib import Path
from typing import Any

from dckt_core import DatasetContext, Pair, PairCollector, PairSet, Split, shown
from dckt_plugins.datasets.catalogue import WikipediaOptions
from dckt_plugins.datasets.splits import draw_split

NAME = "wikipedia"
LISTS: dict[Split, str] = {"train": "trainset_txt_img_cat.list", "test": "testset_txt_img_cat.list"}
CATEGORIES = "categories.list"

_TEXT = re.compile(r"<text(?:\s[^<>]*)?>(.*?)</text\s*>", re.DOTALL | re.IGNORECASE)
_DECLARATION = re.compile(r"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)


def detect(path: Path) -> bool:
    """True for a folder with both lists."""
    return all((path / name).is_file() for name in LISTS.values())


def load(location: Path | None, options: WikipediaOptions, context: DatasetContext) -> PairSet:
    """The pairs of both lists; raises `ManifestError` where they have problems."""
    collector = PairCollector(location, NAME, roots=context.image_roots)
    categories = [line.strip() for _, line in collector.lines(CATEGORIES)]
    for split, name in LISTS.items():
        for number, line in collector.lines(name):
            collector.add(collector.folder / name, number, partial(_entry, line, split, categories, collector))

    def arrange(pairs: list[Pair]) -> list[Pair]:
        return draw_split(pairs, "val", options.val_fraction, of=options.val_of, seed=options.split_seed)

    return collector.pair_set(arrange)


def _entry(line: str, split: Split, categories: list[str], collector: PairCollector) -> dict[str, Any]:
    cells = line.strip().split("\t")
    if len(cells) != 3:
        raise ValueError(f"not text, image and category, with tabs between them, but {shown(line)}")
    text, image, category = (cell.strip() for cell in cells)
    if not (category.isascii() and category.isdigit() and 1 <= int(category) <= len(categories)):
        raise ValueError(f"category {shown(category)} is no number from 1 to {len(categories)}, lines of {CATEGORIES}")
    label = categories[int(category) - 1]
    body = section(collector.text(f"texts/{text}.xml"), f"texts/{text}.xml")
    return {"image": f"images/{label}/{image}.jpg", "text": body, "label": label, "split": split}


def section(content: str, name: str) -> str:
    """The text element of an article's file, without tags, white space put together.

    It is cut out by its tags, not parsed: what stands between them is an author's prose, in which a bare & or < is
    frequent, and where nothing is parsed no entity is expanded and no address is fetched.

    Raises:
        ValueError: there is not exactly one such element, or the file declares entities.
    """
    if _DECLARATION.search(content):
        raise ValueError(f"text {shown(name)} declares a document type or entities, which are not read")
    found = _TEXT.findall(content)
    if len(found) != 1:
        raise ValueError(f"text {shown(name)} has {len(found)} <text> elements, not one")
    return " ".join(html.unescape(_TAG.sub(" ", found[0])).split())
