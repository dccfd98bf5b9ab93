"""What the start page tells of a run or an index: how much there is, its classes with examples, and queries to try."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dckt_apps.serve.place import Place
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.retrieval.gallery import Item

EXAMPLES = 3
"""Pictures of a class, at most."""
SHOWN = 60
"""Classes that have examples, the largest; of more, all are named."""
QUERIES = 6
SENTENCE = 50
"""Letters of a query to try, at most."""


def overview(place: Place) -> dict[str, Any]:
    """What there is, as `/api/about` tells it."""
    searcher = place.searcher
    classes = searcher.classes()
    examples = _examples(place, list(classes)[:SHOWN])
    takes = {medium: not searcher.model.by_id(medium) for medium in MEDIA}
    coverage = searcher.covered_gallery()
    return {
        "name": place.name,
        "sizes": {medium: len(searcher.galleries[medium]) for medium in place.media},
        "classes": [
            {"label": label, **counts, "examples": examples.get(label, [])} for label, counts in classes.items()
        ],
        "queries": _queries(place) if takes["text"] else [],
        "takes": takes,
        **({"words": coverage.as_json()} if coverage is not None else {}),
    }


def _items(place: Place, medium: Medium) -> Iterable[Item]:
    gallery = place.searcher.galleries.get(medium)
    return gallery.items.values() if gallery is not None else ()


def _examples(place: Place, labels: list[str]) -> dict[str, list[str]]:
    """Addresses of the first pictures of each class."""
    found: dict[str, list[str]] = defaultdict(list)
    missing = set(labels)
    for item in _items(place, "image"):
        label = item.get("label")
        if label in missing and (address := place.picture(item)) is not None:
            found[label].append(address)
            missing -= {label} if len(found[label]) == EXAMPLES else set()
        if not missing:
            break
    return found


def _queries(place: Place) -> list[str]:
    """Sentences of the gallery's own texts, of as many classes as there are."""
    found: dict[str, str] = {}
    for item in _items(place, "text"):
        sentence = re.split(r"(?<=[.!?])\s", item.get("text", "").strip(), maxsplit=1)[0].strip(" .")
        if sentence and len(sentence) <= SENTENCE and sentence not in found.values():
            found.setdefault(item.get("label") or sentence, sentence)
        if len(found) == QUERIES:
            break
    return list(found.values())
