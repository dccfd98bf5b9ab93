from dataclasses import replace

import pytest

from dckt_core.base.errors import DataError, NothingToLearnError
from dckt_core.data.checks import check_networks, check_trainable
from tests.support.pair_sets import pair_set

SOURCE = pair_set("S", train="xy")
TARGET = pair_set("T", train="ab", val="ab", test="b")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ({"train": "xy"}, {"train": "ab", "val": "a", "test": "b"}),
        ({"train": "xy", "val": "z"}, {"train": "ab", "test": "b"}),
        ({"train": "--"}, {"test": "a"}),
        ({"train": "x-"}, {"val": "c", "test": "d"}),
        ({"train": "xyIT"}, {"train": "--", "val": "-", "test": "-"}),
        ({"train": "xy"}, {"train": "a-", "val": "c", "test": "d"}),
        ({"train": "xy"}, {"train": "IITT", "val": "c", "test": "d"}),
    ],
)
def test_what_can_be_learnt_from_and_scored(source: dict[str, str], target: dict[str, str]) -> None:
    check_trainable(pair_set("S", **source), pair_set("T", **target))


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        ("", "split 'train' is empty"),
        ("a", "split 'train' has one pair; at least 2 are needed"),
        ("-", "split 'train' has one pair; at least 2 are needed"),
        ("IT", "split 'train' has no pair; at least 2 are needed"),
        ("aaa", "split 'train' has one class, 'a'; at least 2 are needed"),
    ],
)
def test_a_source_needs_pairs_of_more_than_one_class(train: str, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        check_trainable(pair_set("S", train=train), TARGET)
    assert str(caught.value) == f"source data set S: {reason}"


@pytest.mark.parametrize(
    ("splits", "reason"),
    [
        ({"train": "ab", "val": "a"}, "split 'test' is empty"),
        ({"train": "a", "test": "a"}, "split 'train' has one pair; at least 2 are needed"),
        ({"train": "T", "test": "a"}, "split 'train' has one item; at least 2 are needed"),
        ({"train": "aaa", "test": "a"}, "split 'train' has one class, 'a'; at least 2 are needed"),
        (
            {"train": "ab", "val": "ac", "test": "b"},
            "label 'c' is in split 'val' (pair 'val1') but not in split 'train'",
        ),
        (
            {"train": "ab", "val": "a", "test": "bd"},
            "label 'd' is in split 'test' (pair 'test1') but not in split 'train'",
        ),
    ],
)
def test_the_target_is_scored_on_what_it_learnt(splits: dict[str, str], reason: str) -> None:
    with pytest.raises(DataError) as caught:
        check_trainable(SOURCE, pair_set("T", **splits))
    assert str(caught.value) == f"target data set T: {reason}"


def test_a_class_that_is_named_need_not_be_shown() -> None:
    target = pair_set("T", train="ab", test="c")
    with pytest.raises(DataError, match="label 'c' is in split 'test'"):
        check_trainable(SOURCE, target)
    check_trainable(SOURCE, replace(target, names={"c": ("a cow",)}))


@pytest.mark.parametrize(
    ("source", "target", "lack"),
    [
        (
            {"train": "x-"},
            {},
            "source data set S: the networks need 2 labelled training pairs of 2 classes, and it has 1 of 1",
        ),
        ({}, {"train": "a--"}, "target data set T: .* and it has 1 of 1"),
        ({}, {"train": ""}, "target data set T: .* and it has 0 of 0"),
        ({}, {"train": "aa-"}, "target data set T: .* and it has 2 of 1"),
        (
            {},
            {"val": "-"},
            "target data set T: the networks need 2 pairs in split 'val' to be chosen by, with labels or without, "
            "and it has 1",
        ),
    ],
)
def test_the_networks_need_labels(source: dict[str, str], target: dict[str, str], lack: str) -> None:
    check_networks(SOURCE, TARGET)
    check_networks(SOURCE, pair_set("T", train="ab-", val="--", test="b"))
    made = (
        pair_set("S", **{"train": "xy", **source}),
        pair_set("T", **{"train": "ab-", "val": "a-", "test": "b", **target}),
    )
    with pytest.raises(DataError, match=f"^{lack}$"):
        check_networks(*made)


@pytest.mark.parametrize(
    ("train", "names", "enough"),
    [
        ("", "", False),
        ("", "ab", False),
        ("IITT", "ab", False),
        ("--", "", True),
        ("ab", "", True),
    ],
)
def test_without_a_source_the_target_must_say_what_belongs_together(train: str, names: str, enough: bool) -> None:
    target = replace(pair_set("T", train=train, test="a"), names={label: (label,) for label in names})
    if enough:
        check_trainable(None, target)
    else:
        with pytest.raises(NothingToLearnError, match="the source is withheld, and the target offers no pair"):
            check_trainable(None, target)
    check_trainable(SOURCE, target)


def test_images_alone_whose_classes_are_known_say_it_too() -> None:
    alone = pair_set("T", train="IITT", test="a")
    labels = iter(["a", "b", "b", "a"])
    pairs = [replace(pair, label=next(labels)) if pair.split == "train" else pair for pair in alone.pairs]
    check_trainable(None, replace(alone, pairs=pairs))
    images = [pair if pair.image or pair.split != "train" else replace(pair, label=None) for pair in pairs]
    check_trainable(None, replace(alone, pairs=images))
    with pytest.raises(NothingToLearnError):
        check_trainable(None, replace(alone, pairs=images, names={"a": (), "b": ()}))
