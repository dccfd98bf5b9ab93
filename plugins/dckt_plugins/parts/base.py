"""Which part before gives the places in which images and texts are compared, and others build upon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from dckt_core import Known, Material, Medium, StepAsideError

Rows = TypeVar("Rows")

PLACES = ("transport", "media-mmd", "correlation")
"""Parts that place both media in one space; the first that is there is the one to build on."""


def placing_part(material: Material) -> str:
    """The name of that part.

    Raises:
        StepAsideError: there is none.
    """
    features = material.target.images[:0] if len(material.target.images) else material.source.images[:0]
    for name in PLACES:
        try:
            material.rows(name, "image", features)
        except KeyError:
            continue
        return name
    raise StepAsideError(f"it builds on one of the parts {', '.join(PLACES)}, and none is there")


def place(before: Mapping[str, Rows]) -> Rows:
    """That part's rows, where items are encoded; or the value that stands for them in a formula."""
    return before[next(name for name in PLACES if name in before)]


def by_medium(known: Known) -> dict[Medium, tuple[Tensor, Tensor]]:
    """Features [n, d] and labels [n] of a domain's training items, by medium."""
    return {"image": (known.images, known.image_labels), "text": (known.texts, known.text_labels)}
