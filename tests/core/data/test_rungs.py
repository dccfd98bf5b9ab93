from __future__ import annotations

from dataclasses import replace

import pytest

from dckt_core.data.rungs import RUNGS, holdings, rung_of
from tests.support.pair_sets import pair_set


def test_what_is_held() -> None:
    data = pair_set("T", train="ab-IIT", val="a-", test="-")
    assert holdings(data) == {
        "labelled pairs": {"train": 2, "val": 1},
        "unlabelled pairs": {"train": 1, "val": 1, "test": 1},
        "images alone": {"train": 2},
        "texts alone": {"train": 1},
    }


@pytest.mark.parametrize(
    ("train", "names", "offers"),
    [
        ("", "ab", "nothing but the source"),
        ("III", "", "nothing but the source"),
        ("II-T", "", "nothing but the source"),
        ("I" * 64 + "T" * 64, "ab", "images, and texts of other pairs"),
        ("I" * 64 + "T" * 63, "ab", "nothing but the source"),
        ("I" * 20 + "T" * 20, "ab", "nothing but the source"),
        ("--IT", "", "pairs without labels"),
        ("--", "a", "pairs without labels"),
        ("aa--", "", "pairs without labels"),
        ("--", "ab", "pairs without labels"),
        ("-" * 8, "ab", "pairs without labels, and class names"),
        ("a" + "-" * 7, "b", "pairs without labels, and class names"),
        ("ab-", "", "some labels, the rest without"),
        ("abIT", "", "some labels, the rest without"),
        ("aabb", "", "all labels"),
    ],
)
def test_the_highest_rung_that_is_allowed(train: str, names: str, offers: str) -> None:
    data = replace(pair_set("T", train=train, test="a"), names={label: (f"class {label}",) for label in names})
    assert RUNGS[rung_of(data)] == offers


def test_classes_whose_names_nobody_knows_do_not_count() -> None:
    data = pair_set("T", train="-" * 8)
    assert rung_of(replace(data, names={"a": ("a",), "b": ("b",)})) == 3
    assert rung_of(replace(data, names={"a": ("a",), "b": ()})) == 2
