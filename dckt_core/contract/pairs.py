"""Image-text pairs with what is known of them, the form in which every data set reaches the engine. No torch here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Literal, get_args

from dckt_core.base.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Split = Literal["train", "val", "test"]
"""What a pair is for."""
SPLITS: tuple[Split, ...] = get_args(Split)
"""All of them."""
Role = Literal["source", "target"]
"""The side of a run: the large set that helps, or the small one that is searched."""
ROLES: tuple[Role, ...] = get_args(Role)
"""Both."""
Medium = Literal["image", "text"]
"""One half of a pair."""
MEDIA: tuple[Medium, ...] = get_args(Medium)
"""Both."""


Scalar = str | int | float | bool
"""What a field of metadata is, or is a list of; numbers are finite."""
Metadata = Mapping[str, Scalar | Sequence[Scalar]]
"""Whatever else is known of an item, by field: who took a picture, when, where it was found."""
_NOTHING: Metadata = {}


def nothing_else() -> Metadata:
    """The metadata of all items of which nothing else is known, one object for all of them."""
    return _NOTHING


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One image to encode.

    Attributes:
        id: that of its pair.
        path: its file.
        role: the side of the run that its pair is on; None for an image from elsewhere, such as a query.
    """

    id: str
    path: Path
    role: Role | None = None

    def open(self, side: int | None = None) -> Image:
        """The picture, upright, in RGB.

        Args:
            side: pixels of the shorter side that it will be scaled to; a JPEG of more than twice as many may come at
                a half, a quarter or an eighth of its size, and no smaller than twice what is wanted. None for all.

        Raises:
            DataError: the file is missing, truncated, no image, or over the pixel cap; the message names it.
        """
        from dckt_core.io.images import open_image

        return open_image(self.path, side)


@dataclass(frozen=True, slots=True)
class TextItem:
    """One text to encode; `id` and `role` as those of an image, `text` as it is in the data set."""

    id: str
    text: str
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and a text that belong together, and the class they show, as far as it is known.

    For training there may be an item alone, whose partner nobody knows: its other half is None.

    Attributes:
        id: names the pair in results; no other of the data set has it.
        image: its file; None where nobody knows the partner of a text.
        text: what goes with the image; may be empty. None where nobody knows the partner of an image.
        label: the class; None where nobody has said it.
        split: what the pair is for.
        captions: the sentences that the text was put together from.
        role: the side of the run that it is on; the engine fills it in.
        metadata: whatever else is known of it. Nothing is learnt from it; it comes back with what is found.

    Raises:
        ValueError: neither image nor text is there, or but one of them in a split that is scored.
    """

    id: str
    image: Path | None
    text: str | None
    label: str | None
    split: Split
    captions: tuple[str, ...] = ()
    role: Role | None = None
    metadata: Metadata = field(default_factory=nothing_else, hash=False)

    def __post_init__(self) -> None:
        if self.text is None and not self.has("image"):
            raise ValueError(f"pair '{self.id}' has neither image nor text")
        if not self.complete and self.split != "train":
            raise ValueError(f"pair '{self.id}' of split '{self.split}' has no partner to find")

    @property
    def complete(self) -> bool:
        """Whether both media are there."""
        return self.text is not None and self.has("image")

    def has(self, medium: Medium) -> bool:
        """Whether one medium is there."""
        return _image.is_there(self) if medium == "image" else self.text is not None

    def item(self, medium: Medium) -> ImageItem | TextItem:
        """One half, to encode; raises ValueError where it is not there."""
        return self.image_item if medium == "image" else self.text_item

    @property
    def image_item(self) -> ImageItem:
        """Raises ValueError where there is no image."""
        if self.image is None:
            raise ValueError(f"'{self.id}' is a text alone")
        return ImageItem(self.id, self.image, self.role)

    @property
    def text_item(self) -> TextItem:
        """Raises ValueError where there is no text."""
        if self.text is None:
            raise ValueError(f"'{self.id}' is an image alone")
        return TextItem(self.id, self.text, self.role)


class _Image:
    """`Pair.image`, which is kept as a string and made a path when it is asked for: a path takes 300 bytes, and a data
    set may have a million.
    """

    def __init__(self, slot: MemberDescriptorType) -> None:
        self._slot = slot

    def __get__(self, pair: Pair | None, owner: type[Pair] | None = None) -> Any:
        if pair is None:
            return self
        kept = self._slot.__get__(pair, owner)
        return None if kept is None else Path(kept)

    def __set__(self, pair: Pair, image: str | Path | None) -> None:
        self._slot.__set__(pair, None if image is None else os.fspath(image))

    def is_there(self, pair: Pair) -> bool:
        return self._slot.__get__(pair, type(pair)) is not None


_image = _Image(Pair.__dict__["image"])
Pair.image = _image  # type: ignore[assignment,misc]


@dataclass(frozen=True)
class PairSet:
    """A data set: pairs, and items of one medium alone, in manifest order.

    Attributes:
        name: for titles and logs.
        origin: where it was read from, as the user knows it.
        pairs: all pairs and lone items of all splits.
        names: names and phrases of classes, by label. A class that is not in it is called by its label; one that has
            nothing in it has no name that anybody knows.
    """

    name: str
    origin: str
    pairs: Sequence[Pair] = field(repr=False)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The label space that is known for learning, sorted: labels of training items and classes with an entry in
        `names`. Its order numbers the classes."""
        return tuple(sorted({pair.label for pair in self.training if pair.label is not None} | self.names.keys()))

    @cached_property
    def label_space(self) -> tuple[str, ...]:
        """`classes`, then, sorted, labels that are in validation or test alone: of use for scoring and no more."""
        return self.classes + tuple(sorted({pair.label for pair in self.pairs if pair.label} - set(self.classes)))

    @cached_property
    def training(self) -> Sequence[Pair]:
        """All that may be learnt from: pairs with and without a label, and lone items, in manifest order."""
        return [pair for pair in self.pairs if pair.split == "train"]

    def split(self, name: Split) -> list[Pair]:
        """The complete pairs of one split, with or without a label, in manifest order."""
        return [pair for pair in self.pairs if pair.split == name and pair.complete]

    def labelled(self, name: Split) -> list[Pair]:
        """Those of one split that have a label."""
        return [pair for pair in self.split(name) if pair.label is not None]

    def lone(self, medium: Medium) -> list[Pair]:
        """Training items of one medium whose partner nobody knows, in manifest order."""
        return [pair for pair in self.training if pair.has(medium) and not pair.complete]

    def names_of(self, label: str) -> tuple[str, ...]:
        """What a class is called: the names that were given, else its label in words.

        >>> PairSet("set", "folder", []).names_of("potted-plant")
        ('potted plant',)
        """
        spoken = " ".join(label.replace("-", " ").replace("_", " ").split())
        return self.names.get(label, (spoken or label,))

    def of_role(self, role: Role) -> PairSet:
        """The same pairs as the source or the target of a run, which each of them says."""
        return replace(self, pairs=[replace(pair, role=role) for pair in self.pairs])

    def labels(self, pairs: Sequence[Pair]) -> list[int]:
        """Numbers of pairs' classes within `label_space`; -1 where there is no label.

        Raises:
            DataError: no pair of the data set has a pair's label.
        """
        number: dict[str | None, int] = {label: index for index, label in enumerate(self.label_space)}
        number[None] = -1
        for pair in pairs:
            if pair.label not in number:
                raise DataError(f"{self.origin}: pair '{pair.id}': its label '{pair.label}' is none of the data set's")
        return [number[pair.label] for pair in pairs]
