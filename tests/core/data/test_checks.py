from pathlib import Path

import pytest

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.checks import check_trainable


def pair_set(origin: str, **splits: str) -> PairSet:
    """A data set from one letter a pair: `train="aab"` is three train pairs of classes a, a, b."""
    pairs = [
        Pair(f"{split}{number}", Path("x.png"), "text", label, split)  # type: ignore[arg-type]
        for split, labels in splits.items()
        for number, label in enumerate(labels)
    ]
    return PairSet(origin, origin, pairs)


SOURCE = pair_set("S", train="xy")
TARGET = pair_set("T", train="ab", val="a", test="b")


def test_the_least_that_can_be_trained_on() -> None:
    check_trainable(SOURCE, TARGET)


def test_nothing_is_asked_of_the_splits_of_the_source_that_are_not_used() -> None:
    check_trainable(pair_set("S", train="xy", val="z"), TARGET)


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({}, "split 'train' is empty"),
        ({"train": "a"}, "split 'train' has one pair; at least 2 are needed"),
        ({"train": "aaa"}, "split 'train' has one class, 'a'; at least 2 are needed"),
    ],
)
def test_both_need_pairs_of_two_classes_to_train_on(splits: dict[str, str], reason: str) -> None:
    with pytest.raises(DataError) as caught:
        check_trainable(pair_set("S", **splits), TARGET)
    assert str(caught.value) == f"source data set S: {reason}"
    with pytest.raises(DataError) as caught:
        check_trainable(SOURCE, pair_set("T", val="a", test="a", **splits))
    assert str(caught.value) == f"target data set T: {reason}"


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({"test": "b"}, "split 'val' is empty"),
        ({"val": "a"}, "split 'test' is empty"),
        ({"val": "ac", "test": "b"}, "label 'c' is in split 'val' (pair 'val1') but not in split 'train'"),
        ({"val": "a", "test": "bd"}, "label 'd' is in split 'test' (pair 'test1') but not in split 'train'"),
    ],
)
def test_the_target_is_chosen_on_and_scored_on_what_it_learnt(splits: dict[str, str], reason: str) -> None:
    with pytest.raises(DataError) as caught:
        check_trainable(SOURCE, pair_set("T", train="ab", **splits))
    assert str(caught.value) == f"target data set T: {reason}"


def test_labels_are_numbered_by_the_train_split() -> None:
    assert TARGET.classes == ("a", "b")
    assert TARGET.labels(TARGET.split("train")) == [0, 1]
    stranger = pair_set("T", train="ab", test="c")
    with pytest.raises(DataError, match="T: pair 'test0': no train pair has its label 'c'"):
        stranger.labels(stranger.split("test"))
