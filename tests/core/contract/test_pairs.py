from pathlib import Path

from dckt_core.contract.pairs import ImageItem, Pair, PairSet, TextItem


def test_items_say_the_pair_and_the_side_of_the_run() -> None:
    pairs = PairSet("set", "folder", [Pair("one", Path("1.png"), "a dog", "dog", "train")])
    assert pairs.pairs[0].image_item == ImageItem("one", Path("1.png"), None)
    ours = pairs.of_role("target")
    assert (ours.name, ours.origin, ours.classes) == (pairs.name, pairs.origin, pairs.classes)
    assert [pair.image_item for pair in ours.pairs] == [ImageItem("one", Path("1.png"), "target")]
    assert [pair.text_item for pair in ours.pairs] == [TextItem("one", "a dog", "target")]
    assert pairs.pairs[0].role is None
