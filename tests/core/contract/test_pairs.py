import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import ImageItem, Pair, PairSet, TextItem


def test_items_say_the_pair_and_the_side_of_the_run() -> None:
    pairs = PairSet("set", "folder", [Pair("one", Path("1.png"), "a dog", "dog", "train")])
    assert pairs.pairs[0].image_item == ImageItem("one", Path("1.png"), None)
    ours = pairs.of_role("target")
    assert (ours.name, ours.origin, ours.classes) == (pairs.name, pairs.origin, pairs.classes)
    assert [pair.image_item for pair in ours.pairs] == [ImageItem("one", Path("1.png"), "target")]
    assert [pair.text_item for pair in ours.pairs] == [TextItem("one", "a dog", "target")]
    assert pairs.pairs[0].role is None


def made(*pairs: tuple[str, str | None], names: dict[str, tuple[str, ...]] | None = None) -> PairSet:
    """Pairs from (split, label)."""
    made = [Pair(f"{n}", Path("x.png"), "text", label, split) for n, (split, label) in enumerate(pairs)]  # type: ignore[arg-type]
    return PairSet("made", "made up", made, names or {})


def test_classes_are_those_of_training_and_those_that_have_names() -> None:
    data = made(("train", "b"), ("train", None), ("val", "z"), ("test", "a"), names={"c": ("sea", "see")})
    assert data.classes == ("b", "c")
    assert data.label_space == ("b", "c", "a", "z")
    assert data.labels(data.pairs) == [0, -1, 3, 2]
    assert [data.names_of(label) for label in ("c", "b", "tv-monitor_x", "-")] == [
        *(("sea", "see"), ("b",)),
        *(("tv monitor x",), ("-",)),
    ]
    assert made(("train", "b"), names={"b": ()}).names_of("b") == ()
    with pytest.raises(DataError, match="made up: pair '0': its label 'y' is none of the data set's"):
        data.labels(made(("train", "y")).pairs)


def test_splits_are_of_whole_pairs_and_items_alone_are_apart() -> None:
    image, text = (
        Pair(what, **{"image": None, "text": None, what: Path("x")}, label="a", split="train")
        for what in ("image", "text")
    )
    whole, bare = made(("train", "a"), ("train", None)).pairs
    data = PairSet("set", "folder", [text, bare, whole, image])
    assert data.split("train") == [bare, whole]
    assert data.labelled("train") == [whole]
    assert (data.lone("image"), data.lone("text")) == ([image], [text])
    assert data.training == data.pairs
    assert [pair.has("image") for pair in data.pairs] == [False, True, True, True]
    with pytest.raises(ValueError, match="'image' is an image alone"):
        image.item("text")
    with pytest.raises(ValueError, match="'text' is a text alone"):
        text.item("image")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"image": None, "text": None, "split": "train"}, "pair 'one' has neither image nor text"),
        ({"image": Path("x"), "text": None, "split": "val"}, "pair 'one' of split 'val' has no partner to find"),
        ({"image": None, "text": "t", "split": "test"}, "pair 'one' of split 'test' has no partner to find"),
    ],
)
def test_half_a_pair_is_for_training_alone(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Pair("one", label="a", **fields)


def test_an_image_is_a_path_however_it_was_given() -> None:
    given, plain = (Pair("a", image, "text", None, "train") for image in (Path("x/y.png"), "x/y.png"))

    assert given.image == plain.image == Path("x/y.png")
    assert given == plain
    assert hash(given) == hash(plain)
    assert replace(given, text=None).image == Path("x/y.png")
    assert pickle.loads(pickle.dumps(given)) == given
    assert replace(given, image=None).image is None
    assert repr(Path("x/y.png")) in repr(given)
