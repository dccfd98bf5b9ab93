import hashlib
import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from dckt_core import DatasetSpec
from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.specs import NoOptions
from dckt_core.data.checks import check_trainable
from dckt_core.data.manifest import load_manifest
from dckt_core.data.rungs import rung_of
from dckt_plugins.datasets import sample, sample_pictures
from tests.support import box

SPECS: dict[str, DatasetSpec[Any]] = {name: box.spec("dataset", name) for name in ("sample-source", "sample-target")}


def load(name: str, cache: Path, **context: Any) -> PairSet:
    return SPECS[name].load(None, NoOptions(), DatasetContext(cache_dir=cache, **context))


@pytest.fixture(scope="module")
def source(sample_cache: Path) -> PairSet:
    return load("sample-source", sample_cache)


@pytest.fixture(scope="module")
def target(sample_cache: Path) -> PairSet:
    return load("sample-target", sample_cache)


@pytest.fixture
def copied(sample_cache: Path, tmp_path: Path) -> Callable[[], Path]:
    """`copied()` leaves `sample-target` in the cache `tmp_path`, as if it had been made there; its folder."""

    def copy() -> Path:
        [made] = (sample_cache / "sample").glob("sample-target*")
        return Path(shutil.copytree(made, tmp_path / "sample" / made.name))

    return copy


def test_sizes(source: PairSet, target: PairSet) -> None:
    assert len(source.classes) == 36
    assert Counter((pair.label, pair.split) for pair in source.pairs) == {
        (label, split): size for label in source.classes for split, size in (("train", 24), ("val", 6))
    }
    assert len(target.classes) == 10
    assert Counter((pair.label, pair.split) for pair in target.pairs) == {
        (label, split): size for label in target.classes for split, size in (("train", 10), ("val", 20), ("test", 45))
    } | {(None, "train"): 450}
    assert rung_of(target) == 4


def test_classes_have_names(target: PairSet) -> None:
    assert target.names_of("seven") == ("seven", "the digit 7")
    assert list(target.names) == list(sample.target_names())


def test_who_is_not_labelled_is_not_given_away(target: PairSet) -> None:
    """Neither by a name nor by where it stands; the classes are mixed as they come."""
    scans = load_digits()
    typical = {
        sample_pictures.scanned(scan).convert("RGB").tobytes(): digit
        for scan, digit in zip(scans.images, scans.target, strict=True)
    }
    unlabelled = [pair for pair in target.split("train") if pair.label is None]
    assert not any(label in pair.id for pair in unlabelled for label in target.classes)
    digits = [int(typical[pair.image_item.open().tobytes()]) for pair in unlabelled]
    counts = Counter(digits)
    assert len(counts) == 10
    assert len(set(counts.values())) > 3, "45 of each would be made up"
    runs = sum(first == second for first, second in itertools.pairwise(digits))
    assert runs < 80, "45 in the mean where the order says nothing, with a standard deviation of 6"


def test_it_can_be_trained_on_and_label_spaces_differ(source: PairSet, target: PairSet) -> None:
    check_trainable(source, target)
    assert not set(source.classes) & set(target.classes)


def test_pictures_open_and_no_scan_is_given_twice(source: PairSet, target: PairSet) -> None:
    for pair_set in (source, target):
        opened = [pair.image_item.open() for pair in pair_set.pairs]
        assert {picture.size for picture in opened} == {(48, 48)}
        assert len({picture.tobytes() for picture in opened}) == len(opened)
        means = np.array([np.asarray(picture).mean() for picture in opened])
        assert 100 < means.min() < means.max() < 254, "ink on light paper, never a blank page"


def test_a_picture_shows_its_label(target: PairSet) -> None:
    """Nearest class mean over raw pixels, learnt on 100 scans, sorts most of the test scans; chance is 0.1."""
    train, test = target.labelled("train"), target.split("test")
    pixels = {pair.id: np.asarray(pair.image_item.open(), float).ravel() for pair in (*train, *test)}
    means = np.stack([np.mean([pixels[p.id] for p in train if p.label == c], axis=0) for c in target.classes])
    found = [np.linalg.norm(means - pixels[pair.id], axis=1).argmin() for pair in test]
    assert np.mean(np.array(found) == np.array(target.labels(test))) > 0.75


def words(text: str) -> set[str]:
    return {word.strip(".,;:").lower() for word in text.split()}


def test_texts_of_the_splits_are_worded_differently(target: PairSet) -> None:
    texts = {split: {pair.text for pair in target.split(split)} for split in ("train", "val", "test")}  # type: ignore[arg-type]
    assert not texts["train"] & texts["val"]
    assert not texts["train"] & texts["test"]
    assert not texts["val"] & texts["test"]


def test_no_single_word_gives_a_class_away(target: PairSet) -> None:
    for label in target.classes:
        own = [words(pair.text) for pair in target.split("test") if pair.label == label]
        others = set().union(*(words(pair.text) for pair in target.split("test") if pair.label != label))
        telling = Counter(word for text in own for word in text - others)
        assert max(telling.values()) < 0.75 * len(own), f"{label}: {telling.most_common(1)}"


def test_source_and_target_share_their_words_in_part(source: PairSet, target: PairSet) -> None:
    mine = set().union(*(words(pair.text) for pair in source.split("train")))
    theirs = set().union(*(words(pair.text) for pair in target.split("train")))
    assert 0.2 < len(mine & theirs) / len(theirs) < 0.6


def test_made_once_and_with_the_same_bytes_everywhere(sample_cache: Path, target: PairSet, tmp_path: Path) -> None:
    """As the contract's own test makes the source, too, twice."""
    name, first = "sample-target", target
    told: list[tuple[int, int]] = []
    again = load(name, tmp_path, progress=lambda done, total, what: told.append((done, total)))
    assert told == [(done, len(first.pairs)) for done in range(1, len(first.pairs) + 1)]
    assert fingerprint(tmp_path) == fingerprint(sample_cache, f"{name}*")
    assert [pair.id for pair in again.pairs] == [pair.id for pair in first.pairs]
    load(name, tmp_path, progress=lambda *_: pytest.fail("made twice"))


def fingerprint(cache: Path, pattern: str = "*") -> dict[str, str]:
    folders = list((cache / "sample").glob(pattern))
    assert len(folders) == 1
    files = (file for file in folders[0].rglob("*") if file.is_file())
    return {str(file.relative_to(cache)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_it_is_a_data_set_like_any_other(sample_cache: Path, target: PairSet) -> None:
    [folder] = (sample_cache / "sample").glob("sample-target*")
    assert load_manifest(folder).pairs == target.pairs
    assert target.origin == target.name == "sample-target"


def test_another_process_that_is_faster_does_no_harm(copied: Callable[[], Path], tmp_path: Path) -> None:
    def faster(done: int, total: int, what: str) -> None:
        if done == 1:
            copied()

    assert len(load("sample-target", tmp_path, progress=faster).pairs) == 1200
    assert [entry.name for entry in (tmp_path / "sample").iterdir()] == ["sample-target-v3"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("sample-target", tmp_path, progress=stop)
    assert list((tmp_path / "sample").iterdir()) == []


def test_a_damaged_folder_is_named(copied: Callable[[], Path], tmp_path: Path) -> None:
    copied()
    load("sample-target", tmp_path).pairs[0].image.unlink()
    with pytest.raises(DataError, match=r"no such file; delete .*sample-target-v3 to have it made anew"):
        load("sample-target", tmp_path)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "sample").write_text("a file where the folder should be")
    with pytest.raises(DataError, match="cannot be written"):
        load("sample-target", tmp_path)


@pytest.mark.parametrize("name", SPECS)
def test_takes_no_path(name: str, tmp_path: Path) -> None:
    assert not SPECS[name].detect(tmp_path)
    with pytest.raises(UsageError, match=f"'{name}' is made on the spot and takes no path"):
        SPECS[name].load(tmp_path, NoOptions(), DatasetContext(cache_dir=tmp_path))
