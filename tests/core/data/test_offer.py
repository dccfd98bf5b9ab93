"""Less of a target than there is: labels, partners, names and items are taken away, and not looked at before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.base.errors import UsageError
from dckt_core.config import Config
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.folds import folded
from dckt_core.data.offer import offered, offered_source

SIZES = {"cat": 7, "dog": 3, "owl": 12}
CONFIG = Config.resolve()


def config(shots: int | None = None, seed: int = 0, **offer: Any) -> Config:
    changes = {"shots": shots, "seed": seed, "offer": CONFIG.offer.model_copy(update=offer)}
    return CONFIG.model_copy(update=changes)


def few(pair_set: PairSet, shots: int, *, seed: int = 0) -> PairSet:
    """Nothing but the labelled few."""
    return offered(pair_set, config(shots, seed, rest="dropped"))


def made(sizes: dict[str, int] = SIZES) -> PairSet:
    """Classes take turns, so that manifest order is not the order of the classes."""
    pairs = [
        Pair(f"{label}-{split}-{number}", Path("x.png"), "text", label, split)
        for split in ("train", "val", "test")
        for number in range(max(sizes.values()))
        for label, size in sizes.items()
        if number < size
    ]
    return PairSet("made", "made up", pairs)


def ids(pair_set: PairSet, label: str | None = None) -> list[str]:
    return [pair.id for pair in pair_set.split("train") if label in (None, pair.label)]


@given(shots=st.integers(1, 15), seed=st.integers(0, 2**40))
def test_at_most_so_many_of_a_class_and_classes_with_fewer_keep_all(shots: int, seed: int) -> None:
    some = few(made(), shots, seed=seed)
    assert {label: len(ids(some, label)) for label in SIZES} == {k: min(shots, n) for k, n in SIZES.items()}
    assert some.classes == made().classes


@given(shots=st.integers(1, 15), seed=st.integers(0, 2**40))
def test_validation_and_test_are_not_touched_and_the_order_stays(shots: int, seed: int) -> None:
    whole, some = made(), few(made(), shots, seed=seed)
    assert [some.split(split) for split in ("val", "test")] == [whole.split(split) for split in ("val", "test")]
    assert [pair for pair in whole.pairs if pair in some.pairs] == list(some.pairs)


@given(seed=st.integers(0, 2**40), fewer=st.integers(1, 12), more=st.integers(1, 12))
def test_draws_of_one_seed_are_nested(seed: int, fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    assert set(ids(few(made(), fewer, seed=seed))) <= set(ids(few(made(), more, seed=seed)))


def test_the_seed_decides_and_nothing_else() -> None:
    assert few(made(), 2, seed=3) == few(made(), 2, seed=3)
    draws = {tuple(ids(few(made(), 2, seed=seed), "owl")) for seed in range(20)}
    assert len(draws) > 10, "66 draws are possible"


def test_another_class_changes_nothing() -> None:
    alone, together = few(made({"owl": 12}), 4, seed=1), few(made(), 4, seed=1)
    assert ids(alone, "owl") == ids(together, "owl")


def test_every_pair_has_the_same_chance() -> None:
    """300 draws of 3 of 12: a pair is taken 75 times in the mean, with a standard deviation of 7.5."""
    taken = [one for seed in range(300) for one in ids(few(made(), 3, seed=seed), "owl")]
    counts = [taken.count(one) for one in ids(made(), "owl")]
    assert sum(counts) == 900
    assert min(counts) == pytest.approx(75, abs=30)
    assert max(counts) == pytest.approx(75, abs=30)


def told(pair_set: PairSet) -> list[tuple[str, str | None]]:
    return [(pair.id, pair.label) for pair in pair_set.training]


def test_all_of_it_is_the_data_set_itself() -> None:
    whole = made()
    assert offered(whole, CONFIG) is whole


@given(shots=st.integers(1, 15), seed=st.integers(0, 2**40))
def test_the_rest_stays_without_a_label_and_the_same_ones_have_theirs(shots: int, seed: int) -> None:
    whole = made()
    some = offered(whole, config(shots, seed))
    assert [pair for pair in some.pairs if pair.label is not None] == list(few(whole, shots, seed=seed).pairs)
    assert [replace(pair, label=None) for pair in some.training] == [
        replace(pair, label=None) for pair in whole.training
    ]
    assert (some.classes, some.names) == (whole.classes, whole.names)


def test_items_alone_share_in_the_shots_and_what_had_no_label_is_rest() -> None:
    pairs = [
        Pair("image", Path("x.png"), None, "owl", "train"),
        Pair("text", None, "words", "owl", "train"),
        Pair("pair", Path("x.png"), "words", None, "train"),
    ]
    data = PairSet("made", "made up", pairs)
    assert sorted(label or "" for _, label in told(offered(data, config(1)))) == ["", "", "owl"]
    assert [label for _, label in told(few(data, 1))] == ["owl"]
    assert told(offered(data, config(2))) == told(data)


@given(order=st.randoms(use_true_random=False), seed=st.integers(0, 2**40), pairing=st.sampled_from(["kept", "broken"]))
def test_withheld_labels_are_not_looked_at(order: Random, seed: int, pairing: str) -> None:
    """Whoever had which label: the same comes out."""
    whole = made()
    labels = [pair.label for pair in whole.training]
    order.shuffle(labels)
    shuffled = [replace(pair, label=label) for pair, label in zip(whole.training, labels, strict=True)]
    other = replace(whole, pairs=[*shuffled, *whole.pairs[len(shuffled) :]])
    bare = config(seed=seed, labels="none", pairing=pairing)
    assert offered(whole, bare) == offered(other, bare)
    assert all(pair.label is None for pair in offered(whole, bare).training)


@given(seed=st.integers(0, 2**40))
def test_broken_pairs_leave_each_item_once_and_no_partner(seed: int) -> None:
    whole = replace(made(), pairs=[replace(pair, captions=("text",)) for pair in made().pairs])
    halves = offered(whole, config(seed=seed, pairing="broken"))
    assert (len(halves.lone("image")), len(halves.lone("text")), halves.split("train")) == (11, 11, [])
    assert told(halves) == told(whole), "labels are another matter"
    assert all(pair.captions == () for pair in halves.lone("image"))
    assert halves.split("val") == whole.split("val")
    assert offered(whole, config(seed=seed, pairing="broken")) == halves


def test_the_seed_decides_who_is_an_image() -> None:
    counts = Counter(
        pair.id for seed in range(200) for pair in offered(made(), config(seed=seed, pairing="broken")).lone("image")
    )
    assert min(counts.values()) > 60
    assert max(counts.values()) < 140, "100 in the mean, with a standard deviation of 7"


def test_a_class_without_labels_is_known_by_its_names() -> None:
    whole = replace(made(), names={"owl": ("an owl", "a bird of the night"), "elk": ("an elk",)})
    for bare in (offered(whole, config(labels="none")), offered(whole, config(train_items="none"))):
        assert bare.classes == ("cat", "dog", "elk", "owl")
        assert [bare.names_of(label) for label in bare.classes] == [whole.names_of(label) for label in whole.classes]
    nameless = offered(whole, config(labels="none", class_names=False))
    assert (nameless.classes, nameless.label_space) == ((), ("cat", "dog", "owl"))
    shown = offered(whole, config(2, class_names=False))
    assert shown.classes == ("cat", "dog", "owl")
    assert [shown.names_of(label) for label in shown.classes] == [()] * 3


def test_nothing_at_all() -> None:
    nothing = offered(made(), config(train_items="none"))
    assert nothing.training == []
    assert nothing.pairs == [pair for pair in made().pairs if pair.split != "train"]


@pytest.mark.parametrize("key", ["labels", "train_items"])
def test_settings_that_exclude_each_other(key: str) -> None:
    with pytest.raises(UsageError, match=rf"^shots = 3 and offer\.{key} = 'none' exclude each other$"):
        Config.resolve(flags={"shots": 3, "offer": {key: "none"}})


@pytest.mark.parametrize(("validation", "labels"), [("labelled", ["cat"]), ("unlabelled", [None]), ("none", [])])
def test_validation_as_far_as_it_may_be_known(validation: str, labels: list[str | None]) -> None:
    whole = made({"cat": 1, "dog": 0})
    some = offered(whole, config(validation=validation))
    assert [pair.label for pair in some.split("val")] == labels
    assert [some.split(split) for split in ("train", "test")] == [whole.split(split) for split in ("train", "test")]
    assert some.label_space == whole.label_space


def test_a_fold_is_made_before_anything_is_withheld() -> None:
    whole = replace(made(), pairs=[replace(pair, image=Path(pair.id)) for pair in made().pairs])
    some, fold = (offered(whole, config(shots, fold=1, folds=4)) for shots in (2, None))
    assert fold == folded(whole, 1, 4)
    assert [some.split(split) for split in ("val", "test")] == [fold.split(split) for split in ("val", "test")]
    assert sum(pair.label is not None for pair in some.training) == 2 * len(SIZES)
    assert ids(some) == ids(fold)


def test_a_source_and_nothing_of_it() -> None:
    whole = replace(made(), names={"owl": ("an owl",)})
    assert offered_source(whole, config(labels="none", fold=0)) is whole, "the rest is about the target"
    nothing = offered_source(whole, config(source_items="none"))
    assert (nothing.pairs, nothing.classes, nothing.origin) == ([], (), whole.origin)
