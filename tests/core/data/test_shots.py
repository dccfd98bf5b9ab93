from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.shots import few_shot

SIZES = {"cat": 7, "dog": 3, "owl": 12}


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
    few = few_shot(made(), shots, seed=seed)
    assert {label: len(ids(few, label)) for label in SIZES} == {k: min(shots, n) for k, n in SIZES.items()}
    assert few.classes == made().classes


@given(shots=st.integers(1, 15), seed=st.integers(0, 2**40))
def test_validation_and_test_are_not_touched_and_the_order_stays(shots: int, seed: int) -> None:
    whole, few = made(), few_shot(made(), shots, seed=seed)
    assert [few.split(split) for split in ("val", "test")] == [whole.split(split) for split in ("val", "test")]
    assert [pair for pair in whole.pairs if pair in few.pairs] == list(few.pairs)


@given(seed=st.integers(0, 2**40), fewer=st.integers(1, 12), more=st.integers(1, 12))
def test_draws_of_one_seed_are_nested(seed: int, fewer: int, more: int) -> None:
    fewer, more = sorted((fewer, more))
    assert set(ids(few_shot(made(), fewer, seed=seed))) <= set(ids(few_shot(made(), more, seed=seed)))


def test_the_seed_decides_and_nothing_else() -> None:
    assert few_shot(made(), 2, seed=3) == few_shot(made(), 2, seed=3)
    draws = {tuple(ids(few_shot(made(), 2, seed=seed), "owl")) for seed in range(20)}
    assert len(draws) > 10, "66 draws are possible"


def test_another_class_changes_nothing() -> None:
    alone, together = few_shot(made({"owl": 12}), 4, seed=1), few_shot(made(), 4, seed=1)
    assert ids(alone, "owl") == ids(together, "owl")


def test_every_pair_has_the_same_chance() -> None:
    """300 draws of 3 of 12: a pair is taken 75 times in the mean, with a standard deviation of 7.5."""
    taken = [one for seed in range(300) for one in ids(few_shot(made(), 3, seed=seed), "owl")]
    counts = [taken.count(one) for one in ids(made(), "owl")]
    assert sum(counts) == 900
    assert min(counts) == pytest.approx(75, abs=30)
    assert max(counts) == pytest.approx(75, abs=30)
