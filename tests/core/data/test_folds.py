"""Folds of a data set's pairs: stratified, disjoint, and no picture on two sides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import SPLITS, Pair, PairSet, Split
from dckt_core.data.folds import folded

SIZES = {"cat": 7, "dog": 4, "owl": 23}


def made(sizes: dict[str, int] = SIZES, captions: int = 1) -> PairSet:
    """Every picture in so many pairs. The data set's own split has nearly all of a class in training."""
    pairs = [
        Pair(
            f"{label}-{n}-{caption}", Path(f"{label}-{n}.png"), "text", label, ("test", "val")[n] if n < 2 else "train"
        )
        for label, size in sizes.items()
        for n in range(size)
        for caption in range(captions)
    ]
    return PairSet("made", "made up", pairs)


def ids(pair_set: PairSet, split: Split) -> set[str]:
    return {pair.id for pair in pair_set.split(split)}


@given(deal=st.integers(0, 2**20), folds=st.integers(3, 12))
def test_a_deal_tests_and_validates_each_pair_once(deal: int, folds: int) -> None:
    whole = made()
    dealt = [folded(whole, deal * folds + fold, folds) for fold in range(folds)]
    for split in ("test", "val"):
        assert Counter(one for data in dealt for one in ids(data, split)) == Counter(pair.id for pair in whole.pairs)
    assert all(ids(dealt[fold - 1], "val") == ids(dealt[fold], "test") for fold in range(folds)), (
        "one fold's validation is the next one's test"
    )


@given(fold=st.integers(0, 2**30), folds=st.integers(3, 12))
def test_each_fold_has_as_much_of_a_class_as_any_other(fold: int, folds: int) -> None:
    data = folded(made(), fold, folds)
    assert [replace(pair, split="train") for pair in data.pairs] == [
        replace(pair, split="train") for pair in made().pairs
    ], "in manifest order"
    for split in ("test", "val"):
        counts = Counter(pair.label for pair in data.split(split))
        assert all(abs(counts[label] - size / folds) < 1 for label, size in SIZES.items())
    assert abs(len(data.split("test")) - sum(SIZES.values()) / folds) < 1
    assert {pair.label for pair in data.training} == set(SIZES), "what is tested can be learnt"


def test_the_number_decides_and_nothing_else() -> None:
    assert folded(made(), 3, 5) == folded(made(), 3, 5)
    assert len({frozenset(ids(folded(made(), 5 * deal, 5), "test")) for deal in range(20)}) == 20
    resplit = replace(made(), pairs=[replace(pair, split="train") for pair in made().pairs])
    assert folded(resplit, 3, 5) == folded(made(), 3, 5), "the data set's own split is not looked at"


@given(fold=st.integers(0, 2**30), captions=st.integers(2, 5))
def test_pairs_of_one_picture_stay_together(fold: int, captions: int) -> None:
    data = folded(made(captions=captions), fold, 5)
    sides = [{pair.image for pair in data.split(split)} for split in SPLITS]
    assert sum(map(len, sides)) == sum(SIZES.values())
    assert len(set().union(*sides)) == sum(SIZES.values())


def test_what_has_no_label_stays_unless_its_picture_is_another_s() -> None:
    whole = made()
    tested = next(pair for pair in folded(whole, 0, 5).pairs if pair.split == "test")
    learnt = next(pair for pair in folded(whole, 0, 5).pairs if pair.split == "train")
    more = [
        Pair("unlabelled", Path("x.png"), "text", None, "train"),
        Pair("unlabelled test", Path("y.png"), "text", None, "test"),
        Pair("text", None, "words", "cat", "train"),
        Pair("another caption", tested.image, "text", None, "train"),
        Pair("tested picture", tested.image, None, "cat", "train"),
        Pair("learnt picture", learnt.image, None, None, "train"),
    ]
    data = folded(replace(whole, pairs=[*whole.pairs, *more]), 0, 5)
    assert {pair.id: pair.split for pair in data.pairs if pair.id in {one.id for one in more}} == {
        "unlabelled": "train",
        "unlabelled test": "test",
        "text": "train",
        "another caption": "test",
        "learnt picture": "train",
    }


def test_a_class_of_too_few_pictures_is_named() -> None:
    with pytest.raises(DataError, match=r"^made up: class 'elk' has 2 of the 3 labelled pictures that folds need$"):
        folded(made(SIZES | {"elk": 2}), 0, 5)
