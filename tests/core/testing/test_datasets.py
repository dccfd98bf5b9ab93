"""`assert_dataset_ok` passes what keeps the contract, and names the rule that a broken data set breaks."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dckt_core import DatasetSpec
from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.testing import assert_dataset_ok

ROWS = [(split, label, n) for split in ("train", "val", "test") for label in ("cat", "dog") for n in range(2)]


def detect(path: Path) -> bool:
    return (path / "mine.txt").is_file()


def load(location: Path | None, options: Any, context: Any) -> PairSet:
    """The pairs of a folder; with no location they are made in the cache."""
    folder = location or context.cache_dir
    pairs = []
    for done, (split, label, n) in enumerate(ROWS, start=1):
        image = folder / f"{split}-{label}-{n}.png"
        if not image.exists():
            Image.new("RGB", (4, 4), (n, 0, 0)).save(image)
        pairs.append(Pair(image.stem, image, f"a {label}", label, split))  # type: ignore[arg-type]
        context.progress(done, len(ROWS), "making pictures")
    return PairSet("mine", str(folder), pairs)


def spec(load: Callable[..., Any] = load, **fields: Any) -> DatasetSpec[Any]:
    return DatasetSpec(**{"name": "mine", "summary": "a test", "load": load, "detect": detect, "api": "1.0"} | fields)


@pytest.fixture
def location(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.txt").write_text("a data set of the test")
    for split, label, n in ROWS:
        Image.new("RGB", (4, 4), (n, 0, 0)).save(folder / f"{split}-{label}-{n}.png")
    return folder


def test_good_ones_pass(location: Path) -> None:
    assert_dataset_ok(spec(settings={"transfer": {"lr": 0.001}}))
    assert_dataset_ok(spec(), location=location)
    assert_dataset_ok(spec(load_changed(lambda pairs: [pair for pair in pairs if pair.split == "train"])))
    assert_dataset_ok(spec(load_changed(lambda pairs: [pair for pair in pairs if pair.split == "test"])))


def test_labels_partners_and_names_are_as_you_please(location: Path) -> None:
    names = {"cat": ("cat", "a purring animal"), "dog": ()}
    assert_dataset_ok(spec(load_changed(lambda pairs: [replace(pair, label=None) for pair in pairs])))
    assert_dataset_ok(spec(load_changed(list, names=names)), location=location)
    alone = [{"image": None}, {"text": None}, {"image": None, "label": None}, {"text": None}]
    lone = load_changed(lambda pairs: [replace(p, **a) for p, a in zip(pairs, alone, strict=False)] + pairs[4:])
    assert_dataset_ok(spec(lone))


def load_changed(change: Callable[[list[Pair]], Any], **fields: Any) -> Callable[..., PairSet]:
    """The good data set with other pairs."""

    def changed(location: Path | None, options: Any, context: Any) -> PairSet:
        good = load(location, options, context)
        return replace(good, pairs=change(list(good.pairs)), **fields)

    return changed


def first(**fields: Any) -> Callable[..., PairSet]:
    """The good data set with a first pair that is another."""
    return load_changed(lambda pairs: [replace(pairs[0], **fields), *pairs[1:]])


def progress_of(*said: Any) -> Callable[..., PairSet]:
    def talkative(location: Path | None, options: Any, context: Any) -> PairSet:
        context.progress(*said)
        return load(location, options, context)

    return talkative


def raises(*_: Any) -> Any:
    raise OSError("disk full")


def breaks_an_image(pairs: list[Pair]) -> list[Pair]:
    pairs[0].image_item.path.write_bytes(b"no picture")
    return pairs


ORDER = iter(range(10**6))

BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"load": lambda location, options, context: []}, "load must return a PairSet, not list"),
    "load raises": ({"load": raises}, "load raised OSError: disk full"),
    "name": ({"load": load_changed(list, name="")}, "the PairSet's name must be text, not ''"),
    "pairs": ({"load": load_changed(lambda pairs: pairs[0])}, "the PairSet's pairs must be a sequence of Pair"),
    "rows": ({"load": load_changed(lambda pairs: [("a", "b")])}, "the PairSet's pairs must be a sequence of Pair"),
    "ids": ({"load": first(id="val-cat-0")}, "every pair needs an id of its own, and 'val-cat-0' is there twice"),
    "id": ({"load": first(id=7)}, "pair 0, '7', must have one line of text without blanks at its ends for id"),
    "label": ({"load": first(label=" cat")}, "must have one line of text without blanks at its ends for label: ' cat'"),
    "lines": ({"load": first(label="a\nb")}, "must have one line of text without blanks at its ends for label"),
    "text": ({"load": first(text=7)}, "must have text, or None, not int"),
    "nothing in a pair": ({"load": first(text=None, image=None)}, "load raised ValueError: .*neither image nor text"),
    "a test item alone": (
        {"load": load_changed(lambda pairs: [*pairs[:-1], replace(pairs[-1], text=None)])},
        "load raised ValueError: pair 'test-dog-1' of split 'test' has no partner to find",
    ),
    "names": ({"load": load_changed(list, names={"cat": ["a cat"]})}, "names of class 'cat' must be a tuple of lines"),
    "empty name": ({"load": load_changed(list, names={"cat": ("",)})}, "names of class 'cat' must be a tuple of lines"),
    "split": ({"load": first(split="dev")}, "must be in split train, val or test, not 'dev'"),
    "no image": ({"load": first(image=Path("nowhere.png"))}, "has an image that is not there: nowhere.png"),
    "captions": ({"load": first(captions=["a"])}, "must have captions that are a tuple of texts"),
    "broken image": (
        {"load": load_changed(breaks_an_image)},
        "the image of pair 'train-cat-0' cannot be opened: .*no picture of a known format",
    ),
    "no train": (
        {"load": load_changed(lambda pairs: pairs[4:8])},
        "nothing can be trained on it: source data set .*: split 'train' is empty",
    ),
    "one class": (
        {"load": load_changed(lambda pairs: [pair for pair in pairs if pair.label == "cat"])},
        "nothing can be trained on it: target data set .*: split 'train' has one class",
    ),
    "unknown class": (
        {"load": load_changed(lambda pairs: [*pairs[:4], *(replace(pair, label="cow") for pair in pairs[4:])])},
        "nothing can be trained on it: .*label 'cow' is in split 'val'",
    ),
    "order": (
        {"load": load_changed(lambda pairs: pairs[:: 1 if next(ORDER) % 2 else -1])},
        "loaded twice it must give the same pairs in the same order",
    ),
    "detects all": ({"detect": lambda path: True}, "detect must be False for an empty folder"),
    "detect raises": ({"detect": lambda path: path.stat().st_size < 0}, "for a path where nothing is, raised FileNot"),
    "settings": ({"settings": {"transfer": {"lr": -1}}}, "its settings are no configuration: .*'transfer.lr' = -1"),
    "unknown settings": ({"settings": {"colour": 1}}, "its settings are no configuration: .*'colour'"),
    "progress": ({"load": progress_of(3, 2, "x")}, r"progress must be called with .* not \(3, 2, 'x'\)"),
    "global draws": (
        {"load": load_changed(lambda pairs: (random.random(), pairs)[1])},
        "the global random generator of random",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    fields, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^dataset 'mine': .*{rule}"):
        assert_dataset_ok(spec(**fields))


def test_a_location_must_be_recognised_and_left_alone(location: Path) -> None:
    with pytest.raises(AssertionError, match="detect must be True for the location"):
        assert_dataset_ok(spec(detect=lambda path: False), location=location)

    def writes(location: Path, options: Any, context: Any) -> PairSet:
        (location / "index.cache").write_text("for the next time")
        return load(location, options, context)

    with pytest.raises(AssertionError, match="load changes what lies at its location: .*index.cache"):
        assert_dataset_ok(spec(writes), location=location)


def test_what_the_user_can_help_passes_unchanged() -> None:
    def wants_a_path(location: Path | None, options: Any, context: Any) -> PairSet:
        raise DataError("say where")

    with pytest.raises(DataError, match="say where"):
        assert_dataset_ok(spec(wants_a_path))
