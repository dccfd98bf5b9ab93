"""Labels and class names as a user has them: whole numbers or strings, known or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dckt_core.base.errors import ArgumentError
from dckt_core.data.rows import as_numbers, as_rows

UNKNOWN = -1
"""Beside None, NaN and an empty string, what stands for a label that nobody knows."""

Label = int | str
Labels = Sequence[Label | None]
Encode = Callable[[Sequence[str]], Tensor]


def as_labels(value: Any, count: int, name: str) -> Labels:
    """Labels of `count` rows, None where a label is unknown.

    Args:
        value: an array, a tensor or a sequence, of strings or of whole numbers; None where no label is known.
        name: what errors call it.

    Raises:
        ArgumentError: it is something else, or of another length.
    """
    if value is None:
        return [None] * count
    if hasattr(value, "__array__") and not hasattr(value, "tolist"):
        value = np.asarray(value)
    if isinstance(value, str) or not (hasattr(value, "tolist") or isinstance(value, Iterable)):
        raise ArgumentError(f"{name}: {type(value).__name__}, where a label for each row is expected")
    found = value.tolist() if hasattr(value, "tolist") else list(value)
    if not isinstance(found, list):
        raise ArgumentError(f"{name}: one value, where a label for each row is expected")
    if len(found) != count:
        raise ArgumentError(f"{name}: {len(found)} labels for {count} rows")
    labels = [_label(row, one, name) for row, one in enumerate(found)]
    check_kinds(labels, name)
    return labels


def check_kinds(labels: Iterable[Label | None], name: str) -> None:
    """Raises ArgumentError where some labels are numbers and others strings."""
    kinds = {type(one).__name__ for one in labels if one is not None}
    if len(kinds) > 1:
        raise ArgumentError(f"{name}: some are whole numbers and some strings; one kind is expected")


def names_of_classes(value: Any, known: Iterable[Label], encode: Encode, *, width: int) -> dict[Label, Tensor]:
    """Text features [k, d] of the names of each class that has one.

    Args:
        value: a mapping from labels to names, strings or rows; or strings or rows [classes, d] in the order of the
            labels. Labels that are numbers are places in it. Strings, where labels are none or strings, are labels
            themselves. None for no names.
        known: labels of the target.
        encode: strings to rows [n, d].
        width: d.

    Raises:
        ArgumentError: it is something else, or there are more labels than names.
    """
    known = sorted(set(known))
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        value = _by_label(value, known, width)
    if not value:
        raise ArgumentError("class_names: empty")
    said = [_label(place, label, "class_names") for place, label in enumerate(value)]
    labels = [label for label in said if label is not None]
    if len(set(labels)) < len(said):
        raise ArgumentError("class_names: a class without a label, or one that is there twice")
    check_kinds([*known, *labels], "labels and class_names")
    names = {label: _features(one, encode, width, label) for label, one in zip(labels, value.values(), strict=True)}
    return {label: names[label] for label in sorted(names)}


def _by_label(value: Any, known: Sequence[Label], width: int) -> dict[Label, Any]:
    of_strings = known and isinstance(known[0], str)
    if isinstance(value, str):
        raise ArgumentError("class_names: one string, where a name for each class is expected")
    if not (isinstance(value, (list, tuple)) or hasattr(value, "__array__")):
        raise ArgumentError(
            f"class_names: {type(value).__name__}, where a mapping from labels, or names or rows in the order of the "
            "labels, are expected"
        )
    names = value.tolist() if getattr(getattr(value, "dtype", None), "kind", None) in ("U", "O") else value
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        if len(set(names)) < len(names):
            raise ArgumentError("class_names: a name is given twice")
        if not known or of_strings:
            return {name: name for name in names}
        in_order: Sequence[Any] = names
    else:
        in_order = list(as_rows(value, "class_names", width=width))
        if of_strings:
            if len(in_order) != len(known):
                raise ArgumentError(
                    f"class_names: {len(in_order)} rows for {len(known)} labels; a mapping says whose they are"
                )
            return dict(zip(known, in_order, strict=True))
    if known and int(known[-1]) >= len(in_order):
        raise ArgumentError(
            f"class_names: {len(in_order)} names, and a label is {known[-1]}: the first name is that of label 0; "
            "a mapping says whose they are"
        )
    return dict(enumerate(in_order))


def _features(value: Any, encode: Encode, width: int, label: Label) -> Tensor:
    """The names of one class as rows [k, d]."""
    name = f"class_names of {label!r}"
    names = [value] if isinstance(value, str) else value
    if isinstance(names, (list, tuple)) and names and all(isinstance(one, str) for one in names):
        return as_rows(encode(list(names)), name, width=width)
    array = as_numbers(value, name)
    return as_rows(array[None] if array.ndim == 1 else array, name, width=width)


def _label(row: int, value: Any, name: str) -> Label | None:
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value in (UNKNOWN, "") or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (int, float)):
        if value != int(value) if math.isfinite(value) else True:
            raise ArgumentError(f"{name}: Unknown label type: row {row} is {value}, and a label is a whole number")
        if value < 0:
            raise ArgumentError(f"{name}: row {row} is {int(value)}; {UNKNOWN} alone, for unknown, is below 0")
        return int(value)
    raise ArgumentError(f"{name}: row {row} is of type {type(value).__name__}, and neither a number nor a string")
