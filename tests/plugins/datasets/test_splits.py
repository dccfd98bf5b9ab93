from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dckt_core.contract.pairs import Pair
from dckt_plugins.datasets.splits import draw_split


def pairs_of(sizes: dict[str, int]) -> list[Pair]:
    return [Pair(f"{label}{n}", Path("a.png"), "", label, "train") for label in sizes for n in range(sizes[label])]


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 40), min_size=1)


@given(SIZES, st.floats(0, 0.5), st.integers(0, 9))
def test_takes_its_share_of_every_class_and_leaves_some(sizes: dict[str, int], share: float, seed: int) -> None:
    pairs = pairs_of(sizes)
    drawn = draw_split(pairs, "val", share, of="train", seed=seed)
    assert [pair.id for pair in drawn] == [pair.id for pair in pairs]
    taken = Counter(pair.label for pair in drawn if pair.split == "val")
    for label, size in sizes.items():
        assert taken[label] < size
        if size > 1:
            assert abs(taken[label] - share * size) <= 1
    open_to_draw = sum(size for size in sizes.values() if size > 1)
    assert abs(taken.total() - share * open_to_draw) <= 0.5 + 1e-9


@given(SIZES, st.randoms())
def test_the_order_of_the_pairs_does_not_matter(sizes: dict[str, int], chance: object) -> None:
    pairs = pairs_of(sizes)
    mixed = list(pairs)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    first, second = (draw_split(some, "val", 0.2, of="train", seed=0) for some in (pairs, mixed))
    assert {pair.id for pair in first if pair.split == "val"} == {pair.id for pair in second if pair.split == "val"}


def test_another_seed_takes_others() -> None:
    pairs = pairs_of({"a": 50, "b": 50})
    one, two = (draw_split(pairs, "val", 0.3, of="train", seed=seed) for seed in (0, 1))
    assert one != two


def test_published_sizes() -> None:
    wikipedia = draw_split(pairs_of(dict.fromkeys("abcdefg", 99)), "val", 1 / 3, of="train", seed=0)
    assert Counter(pair.split for pair in wikipedia) == {"train": 462, "val": 231}
    pascal = draw_split(pairs_of({f"class {n}": 50 for n in range(20)}), "test", 0.1, of="train", seed=0)
    pascal = draw_split(pascal, "val", 0.1 / 0.9, of="train", seed=0)
    assert Counter((pair.label, pair.split) for pair in pascal) == {
        (f"class {n}", split): size for n in range(20) for split, size in (("train", 40), ("val", 5), ("test", 5))
    }
