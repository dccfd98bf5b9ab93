"""Labelled image-text pairs, the form in which every data set reaches the engine. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from dckt_core.base.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Role = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One image to encode.

    Attributes:
        id: that of its pair.
        role: the side of the run that its pair is on; None for an image from elsewhere, such as a query.
    """

    id: str
    path: Path
    role: Role | None = None

    def open(self) -> Image:
        """The picture, upright, in RGB.

        Raises:
            DataError: the file is missing, truncated, no image, or over the pixel cap; the message names it.
        """
        from dckt_core.io.images import open_image

        return open_image(self.path)


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text to encode; `id` and `role` as those of an image."""

    id: str
    text: str
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and a text that belong together, and the class they show."""

    id: str
    image: Path
    text: str
    label: str
    split: Split
    captions: tuple[str, ...] = ()
    role: Role | None = None

    @property
    def image_item(self) -> ImageItem:
        return ImageItem(self.id, self.image, self.role)

    @property
    def text_item(self) -> TextItem:
        return TextItem(self.id, self.text, self.role)


@dataclass(frozen=True)
class PairSet:
    """A data set: pairs in manifest order.

    Attributes:
        name: for titles and logs.
        origin: where it was read from, as the user knows it.
        pairs: all pairs of all splits.
    """

    name: str
    origin: str
    pairs: Sequence[Pair] = field(repr=False)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The label space: the labels of the training split, sorted. Its order numbers the classes."""
        return tuple(sorted({pair.label for pair in self.pairs if pair.split == "train"}))

    def split(self, name: Split) -> list[Pair]:
        """The pairs of one split, in manifest order."""
        return [pair for pair in self.pairs if pair.split == name]

    def of_role(self, role: Role) -> PairSet:
        """The same pairs as the source or the target of a run, which each of them says."""
        return replace(self, pairs=[replace(pair, role=role) for pair in self.pairs])

    def labels(self, pairs: Sequence[Pair]) -> list[int]:
        """Class numbers of pairs.

        Raises:
            DataError: a pair's label is not among `classes`.
        """
        number = {label: index for index, label in enumerate(self.classes)}
        for pair in pairs:
            if pair.label not in number:
                raise DataError(f"{self.origin}: pair '{pair.id}': no train pair has its label '{pair.label}'")
        return [number[pair.label] for pair in pairs]
