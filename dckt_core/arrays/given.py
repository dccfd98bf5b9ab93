"""The arguments of `CommonSpace.fit`, checked: what is known of each domain, as rows and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from dckt_core.arrays.labels import Encode, Label, Labels, as_labels, check_kinds, names_of_classes
from dckt_core.base.errors import ArgumentError
from dckt_core.contract.pairs import MEDIA, Medium
from dckt_core.data.checks import MIN_CLASSES, MIN_PAIRS
from dckt_core.data.rows import as_rows

Widths = dict[Medium, int | None]
"""Of rows, by medium; None where nothing has said it yet."""


@dataclass(frozen=True)
class Pairs:
    """Rows of images [n, d_i] and texts [n, d_t] that belong together, and their labels [n]."""

    images: Tensor
    texts: Tensor
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, medium: Medium) -> Tensor:
        """Those of one medium."""
        return self.images if medium == "image" else self.texts

    @property
    def known(self) -> list[Label]:
        """The labels that are known."""
        return [label for label in self.labels if label is not None]


@dataclass(frozen=True)
class Given:
    """What is known of one domain, checked."""

    pairs: Pairs | None = None
    lone: Mapping[Medium, Tensor] = field(default_factory=dict)
    validation: Pairs | None = None
    names: Mapping[Label, Tensor] = field(default_factory=dict)

    @property
    def classes(self) -> list[Label]:
        """Labels of training pairs and of named classes, sorted: what is known for learning."""
        found = set(self.pairs.known if self.pairs else []) | self.names.keys()
        return sorted(found)


def as_pairs(images: Any, texts: Any, labels: Any, widths: Widths, *, of: str = "") -> Pairs:
    """Checked arrays of pairs.

    Args:
        of: begins the names of the arguments, such as `source `.

    Raises:
        ArgumentError: one of them is no rows or labels, or their lengths differ.
    """
    for name, rows in (("images", images), ("texts", texts)):
        if rows is None:
            raise ArgumentError(f"{of}{name}: missing; what has no partner goes into unpaired_images, unpaired_texts")
    rows = tuple(
        as_rows(value, f"{of}{medium}s", width=widths[medium], like=f"the other {medium}s" if of else "")
        for medium, value in zip(MEDIA, (images, texts), strict=True)
    )
    if len(rows[0]) != len(rows[1]):
        raise ArgumentError(f"{of}images, {of}texts: {len(rows[0])} and {len(rows[1])} rows, which do not pair up")
    return Pairs(rows[0], rows[1], as_labels(labels, len(rows[0]), f"{of}labels"))


def check_training(pairs: Pairs, *, of: str = "") -> None:
    """Raises ArgumentError where there is nothing to tell apart."""
    if len(pairs) < MIN_PAIRS:
        raise ArgumentError(
            f"{of}images, {of}texts: {len(pairs)} sample{'s' * (len(pairs) != 1)} (n_samples = {len(pairs)}), and a "
            f"minimum of {MIN_PAIRS} is required"
        )
    check_different(pairs.images, f"{of}images")
    check_different(pairs.texts, f"{of}texts")
    if len(pairs.known) == len(pairs) and len(set(pairs.known)) < MIN_CLASSES:
        raise ArgumentError(f"{of}labels: all rows are of one class, {pairs.known[0]!r}, and 2 are needed")


def check_different(rows: Tensor, name: str) -> None:
    """Raises ArgumentError where all of several rows [n, d] are the same."""
    if len(rows) > 1 and bool((rows == rows[:1]).all()):
        raise ArgumentError(f"{name}: all {len(rows)} rows are equal")


def as_given(
    widths: Widths,
    *,
    images: Any,
    texts: Any,
    labels: Any,
    source: Any,
    unpaired_images: Any,
    unpaired_texts: Any,
    class_names: Any,
    validation: Any,
    encode: Encode,
) -> tuple[Given, Given]:
    """What is known of source and target, as the arguments of `CommonSpace.fit` have it; `widths` learns those of rows.

    The target's rows say how wide rows are, and the source's only where there are none.
    """
    pairs = None
    if images is not None or texts is not None:
        pairs = as_pairs(images, texts, labels, widths)
        check_training(pairs)
        _learn(widths, pairs)
    elif labels is not None:
        raise ArgumentError("labels: there are no images and texts that they could be of")
    lone: dict[Medium, Tensor] = {}
    for medium, value in zip(MEDIA, (unpaired_images, unpaired_texts), strict=True):
        if value is not None:
            name = f"unpaired_{medium}s"
            lone[medium] = as_rows(value, name, width=widths[medium], like=f"{medium}s")
            check_different(lone[medium], name)
            widths[medium] = lone[medium].shape[1]
    of_source = None
    if source is not None:
        of_source = as_pairs(*_three(source, "source"), widths, of="source ")
        check_training(of_source, of="source ")
        _learn(widths, of_source)
    held = None if validation is None else as_pairs(*_three(validation, "validation"), widths, of="validation ")
    names: Mapping[Label, Tensor] = {}
    if class_names is not None:
        width = widths["text"]
        if width is None:
            raise ArgumentError("class_names: there are no texts, nor a source, that they could be compared with")
        names = names_of_classes(class_names, pairs.known if pairs else [], encode, width=width)
    target = Given(pairs, lone, held if held is not None and len(held) else None, names)
    if held is not None:
        _check_validation(target, held)
    return Given(of_source), target


def _learn(widths: Widths, pairs: Pairs) -> None:
    widths["image"], widths["text"] = pairs.images.shape[1], pairs.texts.shape[1]


def _check_validation(given: Given, held: Pairs) -> None:
    """Raises ArgumentError where a validation label cannot be one of the training pairs'."""
    classes = given.classes
    check_kinds([*classes, *held.known], "labels and validation labels")
    if given.pairs is not None and len(given.pairs.known) == len(given.pairs):
        for label in held.known:
            if label not in classes:
                raise ArgumentError(f"validation labels: {label!r} is no label of the training pairs")


def _three(value: Any, name: str) -> tuple[Any, Any, Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ArgumentError(f"{name}: a tuple of images, texts and labels is expected; the labels may be None")
    return value[0], value[1], value[2]
