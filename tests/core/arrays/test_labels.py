"""Labels and class names in every form that people have them in, or one line about what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dckt_core.arrays.labels import as_labels, names_of_classes
from dckt_core.base.errors import ArgumentError


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (None, [None, None, None]),
        ([2, -1, 0], [2, None, 0]),
        (np.array([2, -1, 0], dtype=np.int8), [2, None, 0]),
        (torch.tensor([2, -1, 0]), [2, None, 0]),
        ([np.int64(2), None, np.int32(0)], [2, None, 0]),
        (np.array([2.0, np.nan, 0.0]), [2, None, 0]),
        (["b", None, "a"], ["b", None, "a"]),
        (np.array(["b", "b", "a"]), ["b", "b", "a"]),
        (np.array(["b", None, "a"], dtype=object), ["b", None, "a"]),
        (("b", float("nan"), -1), ["b", None, None]),
    ],
)
def test_labels(value: Any, labels: list[Any]) -> None:
    found = as_labels(value, 3, "labels")
    assert found == labels
    assert {type(one) for one in found} <= {int, str, type(None)}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([0, 1], "labels: 2 labels for 3 rows"),
        ("abc", "labels: str, where a label for each row is expected"),
        (7, "labels: int, where a label for each row is expected"),
        (np.array(7), "labels: one value, where a label for each row is expected"),
        ([0, 1, -2], "labels: row 2 is -2; -1 alone, for unknown, is below 0"),
        ([0, 1, 0.5], "labels: Unknown label type: row 2 is 0.5, and a label is a whole number"),
        ([0, 1, float("inf")], "labels: Unknown label type: row 2 is inf, and a label is a whole number"),
        (np.zeros((3, 1)), "labels: row 0 is of type list, and neither a number nor a string"),
        ([0, "1", None], "labels: some are whole numbers and some strings; one kind is expected"),
    ],
)
def test_labels_that_do_not_do(value: Any, says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        as_labels(value, 3, "labels")
    assert str(caught.value) == says


def encode(strings: Sequence[str]) -> Tensor:
    """A row [2] of each string: its length, and its first letter."""
    return torch.tensor([[float(len(one)), float(ord(one[0]))] for one in strings])


CAT, DOG = [3.0, 99.0], [3.0, 100.0]
ROWS = np.array([CAT, DOG])


@pytest.mark.parametrize(
    ("value", "known", "names"),
    [
        (None, [], {}),
        (ROWS, [], {0: [CAT], 1: [DOG]}),
        (torch.tensor(ROWS), [1, 1], {0: [CAT], 1: [DOG]}),
        (["cat", "dog"], [0, 1, 1], {0: [CAT], 1: [DOG]}),
        (["dog", "cat"], [], {"cat": [CAT], "dog": [DOG]}),
        (["cat", "dog"], ["dog"], {"cat": [CAT], "dog": [DOG]}),
        (np.array(["cat", "dog"]), ["dog"], {"cat": [CAT], "dog": [DOG]}),
        (ROWS, ["b", "a"], {"a": [CAT], "b": [DOG]}),
        ({"b": "dog", "a": ["cat", "cow"]}, ["b"], {"a": [CAT, CAT], "b": [DOG]}),
        ({7: ROWS[1], 3: ROWS}, [], {3: [CAT, DOG], 7: [DOG]}),
        ({7: torch.tensor(DOG)}, [2], {7: [DOG]}),
    ],
)
def test_names(value: Any, known: list[Any], names: dict[Any, Any]) -> None:
    found = names_of_classes(value, known, encode, width=2)
    assert list(found) == list(names), "sorted by label"
    assert {label: rows.tolist() for label, rows in found.items()} == names


@pytest.mark.parametrize(
    ("value", "known", "says"),
    [
        ("cat", [], "class_names: one string, where a name for each class is expected"),
        ({}, [], "class_names: empty"),
        (["cat", "cat"], [], "class_names: a name is given twice"),
        (ROWS, ["a", "b", "c"], "class_names: 2 rows for 3 labels; a mapping says whose they are"),
        (
            ["cat", "dog"],
            [1, 2],
            "class_names: 2 names, and a label is 2: the first name is that of label 0; a mapping says whose they are",
        ),
        ({None: "cat"}, [], "class_names: a class without a label, or one that is there twice"),
        ({"a": "cat"}, [3], "labels and class_names: some are whole numbers and some strings; one kind is expected"),
        (np.ones((2, 5)), [], "class_names: rows of 5 values, where 2 are expected"),
        ({"a": 5}, [], "class_names of 'a': an array of shape () is not rows [n, d]"),
        (["cat", 5], [], "class_names: an array of <U21, where numbers are expected"),
    ],
)
def test_names_that_do_not_do(value: Any, known: list[Any], says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        names_of_classes(value, known, encode, width=2)
    assert str(caught.value) == says
