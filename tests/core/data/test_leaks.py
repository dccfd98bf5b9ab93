from pathlib import Path

from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data import leaks as finders


def leaks(pair_set: PairSet) -> list[str]:
    return [found.what for found in finders.leaks(pair_set)]


def shared_texts(pair_set: PairSet) -> list[str]:
    return [found.what for found in finders.shared_texts(pair_set)]


def leaks_from(source: PairSet, target: PairSet) -> list[str]:
    return [found.what for found in finders.leaks_from(source, target)]


def test_a_held_out_picture_that_is_learnt_from_is_counted_as_a_file_and_as_a_copy(tmp_path: Path) -> None:
    for name, content in {"a": b"one", "copy": b"one", "b": b"two", "c": b"longer"}.items():
        (tmp_path / name).write_bytes(content)

    def pair(number: int, name: str | None, split: str) -> Pair:
        return Pair(str(number), None if name is None else tmp_path / name, "text", "x", split)  # type: ignore[arg-type]

    training = [pair(0, "a", "train"), pair(1, None, "train"), pair(2, "missing", "train")]
    clean = [pair(3, "b", "val"), pair(4, "c", "test"), pair(5, "missing", "test")]
    assert leaks(PairSet("S", "S", [*training, *clean])) == []
    held = [*clean, pair(6, "a", "test"), pair(7, "copy", "test"), pair(8, "copy", "val")]
    assert leaks(PairSet("S", "S", [*training, *held])) == [
        "1 of 2 val pairs have a picture that is in split 'train', too",
        "2 of 4 test pairs have a picture that is in split 'train', too",
    ]
    assert leaks(PairSet("S", "S", held)) == []
    assert shared_texts(PairSet("S", "S", [*training, *held])) == [
        "2 of 2 val pairs have a text that is in split 'train', too",
        "4 of 4 test pairs have a text that is in split 'train', too",
    ]
    assert shared_texts(PairSet("S", "S", held)) == []


def test_what_the_source_is_learnt_from_and_the_target_tested_on_is_counted(tmp_path: Path) -> None:
    for name, content in {"a": b"one", "copy": b"one", "b": b"two", "c": b"longer"}.items():
        (tmp_path / name).write_bytes(content)

    def pair(number: int, name: str | None, text: str | None, split: str) -> Pair:
        image = None if name is None else tmp_path / name
        return Pair(str(number), image, text, "x", split)  # type: ignore[arg-type]

    source = [pair(0, "a", "a dog", "train"), pair(1, None, "", "train"), pair(2, "c", None, "train")]
    other = [pair(3, "b", "a cow", "test"), pair(4, "missing", "", "val")]
    target = [
        pair(5, "copy", "a cat", "train"),
        pair(6, "copy", "a cat", "val"),
        pair(7, "b", " a  dog\n", "test"),
        pair(8, "c", "", "test"),
        pair(9, "b", "a cow", "test"),
    ]
    assert leaks_from(PairSet("S", "S", source), PairSet("T", "T", other)) == []
    assert leaks_from(PairSet("S", "S", [*source, pair(10, "b", "a cow", "val")]), PairSet("T", "T", target)) == [
        "1 of 1 val pairs have a picture that is learnt from in the source",
        "1 of 3 test pairs have a picture that is learnt from in the source",
        "1 of 3 test pairs have a text that is learnt from in the source",
    ]
