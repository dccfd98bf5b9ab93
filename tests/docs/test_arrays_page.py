"""The code on the page about arrays works."""

from __future__ import annotations

import re
from typing import Any

from tests.support.pages import ROOT
from tests.support.rows import SOURCE, TEST, TRAIN

PAGE = (ROOT / "docs" / "arrays.md").read_text("utf-8")


def test_the_example() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {
        f"{of}{name}": column
        for of, rows in (("", TRAIN), ("source_", SOURCE), ("new_", TEST))
        for name, column in zip(("images", "texts", "labels"), rows, strict=True)
    }
    exec(block, names)
    assert names["numbers"].shape == (len(TEST), 10)
    assert len(names["placed"]) == len(TEST)
    assert names["score"] > 0.9
