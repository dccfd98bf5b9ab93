"""Splits that are drawn: seeded, class by class, what belongs together on one side."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from dckt_core.contract.pairs import SPLITS
from dckt_core.data.partition import Groups, draw

SHARES = st.sampled_from([(0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.5, 0.5, 0.0), (0.34, 0.33, 0.33), (1.0, 0.0, 0.0)])
ITEMS = st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.integers(0, 30)), min_size=1, max_size=120)


@given(items=ITEMS, shares=SHARES, seed=st.integers(0, 3))
def test_groups_stay_together_and_shares_are_kept_as_far_as_groups_allow(
    items: list[tuple[str | None, int]], shares: tuple[float, float, float], seed: int
) -> None:
    labels = [label for label, _ in items]
    groups = Groups(len(items))
    together: dict[int, list[int]] = defaultdict(list)
    for number, (_, key) in enumerate(items):
        together[key].append(number)
    for members in together.values():
        groups.join(members)
    of = [groups.of(number) for number in range(len(items))]
    names = [f"item {number}" for number in range(len(items))]
    splits = draw(of, labels, names, shares, seed)
    assert all(len({splits[number] for number in members}) == 1 for members in together.values())
    assert splits == draw(of, labels, names, shares, seed)
    largest = max(map(len, together.values()))
    classes = len(set(labels))
    counts = Counter(splits)
    for split, share in zip(SPLITS, shares, strict=True):
        assert abs(counts[split] - share * len(items)) <= (largest + 1) * (classes + 1)
        assert share or not counts[split]


@given(sizes=st.lists(st.integers(1, 60), min_size=1, max_size=8), shares=SHARES, seed=st.integers(0, 3))
def test_without_groups_each_class_has_its_shares(
    sizes: list[int], shares: tuple[float, float, float], seed: int
) -> None:
    labels = [f"class {number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"item {number}" for number in range(len(labels))]
    splits = draw(range(len(labels)), labels, names, shares, seed)
    by_class = Counter(zip(labels, splits, strict=True))
    for number, size in enumerate(sizes):
        assert by_class[f"class {number}", "train"] >= 1
        for split, share in zip(SPLITS, shares, strict=True):
            assert abs(by_class[f"class {number}", split] - share * size) < 3
    for split, share in zip(SPLITS, shares, strict=True):
        assert abs(Counter(splits)[split] - share * len(labels)) < 2 + len(sizes)


def test_the_order_of_items_changes_nothing_and_the_seed_does() -> None:
    names = [f"item {number}" for number in range(100)]
    labels = ["a", "b"] * 50
    forwards = dict(zip(names, draw(range(100), labels, names, (0.8, 0.1, 0.1), 0), strict=True))
    turned = draw(range(100), labels[::-1], names[::-1], (0.8, 0.1, 0.1), 0)
    assert dict(zip(names[::-1], turned, strict=True)) == forwards
    assert Counter(forwards.values()) == {"train": 80, "val": 10, "test": 10}
    assert draw(range(100), labels, names, (0.8, 0.1, 0.1), 1) != list(forwards.values())


def test_many_classes_of_one_item_are_all_for_training() -> None:
    """A class of which nothing can be learnt has no place in a test."""
    names = [f"item {number}" for number in range(20)]
    assert set(draw(range(20), names, names, (0.8, 0.1, 0.1), 0)) == {"train"}


def test_items_that_can_be_in_train_alone_take_their_groups_with_them() -> None:
    names = [f"item {number}" for number in range(10)]
    splits = draw([0, 0, 2, 3, 4, 5, 6, 7, 8, 9], ["a"] * 10, names, (0.1, 0.5, 0.4), 0, fixed=[1])
    assert splits[:2] == ["train", "train"]
    assert set(splits) == set(SPLITS)
