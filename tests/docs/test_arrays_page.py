"""The code on the page about arrays works."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from dckt_core import CommonSpace
from tests.support.pages import ROOT
from tests.support.rows import LABELS, SOURCE, TEST, TRAIN, alike

PAGE = (ROOT / "docs" / "arrays.md").read_text("utf-8")


BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example() -> None:
    names: dict[str, Any] = {
        f"{of}{name}": column
        for of, rows in (("", TRAIN), ("source_", SOURCE), ("new_", TEST))
        for name, column in zip(("images", "texts", "labels"), rows, strict=True)
    }
    exec(BLOCKS[0], names)
    assert names["numbers"].shape == (len(TEST), 10)
    assert len(names["placed"]) == len(TEST)
    assert names["score"] > 0.9


def test_the_example_of_rows_of_one_model() -> None:
    train = alike(LABELS, 12, 1)
    of = {label: train.texts[train.labels == label].mean(axis=0) for label in LABELS}

    def encode_texts(strings: Sequence[str]) -> Any:
        return np.stack([next(of[label] for label in LABELS if label in one) for one in strings])

    columns = zip(("images", "texts", "labels"), train, strict=True)
    names: dict[str, Any] = {"CommonSpace": CommonSpace, "encode_texts": encode_texts, **dict(columns)}
    exec(BLOCKS[1], names)
    assert {"zero-shot", "cache"} <= names["space"].parts_.keys()
