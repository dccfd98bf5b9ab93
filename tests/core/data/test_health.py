"""What is found in a data set without decoding a picture: each kind where it is, and nothing where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.findings import Finding, first, of_json
from dckt_core.data.health import examine

Row = tuple[str, str, str | None, str]


@pytest.fixture
def found(tmp_path: Path):
    """The findings, by kind, of pairs of a picture's content, a text, a label and a split."""

    def examine_rows(rows: Sequence[Row], **names: tuple[str, ...]) -> dict[str, Finding]:
        pairs = []
        for number, (content, text, label, split) in enumerate(rows):
            image = tmp_path / f"{number}.png"
            image.write_text(content)
            pairs.append(Pair(f"{number}", image, text, label, split))
        return {finding.kind: finding for finding in examine(PairSet("S", "S", pairs, names))}

    return examine_rows


CLEAN: list[Row] = [
    ("p0", "one fine day", "dog", "train"),
    ("p1", "another day", "dog", "train"),
    ("p2", "no sun at all", "cat", "train"),
    ("p3", "rain", "cat", "train"),
    ("p4", "much rain", "dog", "val"),
    ("p5", "snow", "cat", "test"),
]


def test_of_a_clean_data_set_there_is_nothing_to_say(found):
    assert found(CLEAN) == {}


def test_every_pair_twice(found):
    one = found(CLEAN + CLEAN)["pairs twice"]
    assert (one.what, one.count, one.of, one.grave) == ("every pair is there twice", 6, 12, True)
    some = found([*CLEAN, CLEAN[0]])["pairs twice"]
    assert (some.what, some.places) == ("1 of 7 pairs are equal to an earlier one", ("'6'",))
    assert "pairs twice" not in found([*CLEAN, ("p0", "another text", "dog", "train")])


def test_pictures_that_nobody_looks_at_need_not_be_there():
    """As where features come from files: texts alone are examined."""
    pairs = [Pair(f"{n}", Path(f"gone-{n}.png"), text, label, split) for n, (_, text, label, split) in enumerate(CLEAN)]
    assert examine(PairSet("S", "S", pairs), pictures=False) == []
    again = [*pairs, Pair("again", pairs[0].image, CLEAN[0][1], "dog", "train")]
    assert [found.kind for found in examine(PairSet("S", "S", again), pictures=False)] == ["equal texts"]


def test_one_picture_under_two_labels(found):
    one = found([*CLEAN, ("p0", "a text", "cat", "train"), ("p1", "a text", None, "train")])["two labels"]
    assert one.what == "1 of 6 picture has more than one label"
    assert one.places == ("'0': 'cat' and 'dog'",)


def test_labels_that_are_spelt_alike(found):
    one = found([*CLEAN, ("p6", "x", "Dog", "train"), ("p7", "y", "Dog", "train")])["labels spelt alike"]
    assert one.what == "labels 'Dog' and 'dog' differ by case, blanks or hyphens alone, and are two classes"
    assert "labels spelt alike" in found([*CLEAN, ("p6", "x", "c at", "test")])


def test_classes_of_one_pair(found):
    one = found([*CLEAN, ("p6", "x", "cow", "train"), ("p7", "y", "bee", "train")])["classes of one"]
    assert (one.what, one.places) == ("2 of 4 classes have a single labelled training item", ("'bee'", "'cow'"))


def test_a_class_that_has_nearly_all(found):
    rows: list[Row] = [(f"p{number}", f"text {number}", "dog", "train") for number in range(18)]
    rows += [("q0", "x", "cat", "train"), ("q1", "y", "cat", "train")]
    assert found(rows)["one large class"].what == "class 'dog' has 18 of 20 labelled training items"
    assert "one large class" not in found(rows[1:])


def test_texts_that_name_their_class(found):
    rows = [*CLEAN[1:], ("p6", "A DOG, barking", "dog", "train")]
    one = found(rows)["texts name their class"]
    assert (one.what, one.places, one.grave) == ("1 of 6 texts with a label name it in words", ("'5'",), False)
    assert "texts name their class" in found([*rows[:-1], ("p6", "a potted  plant", "potted_plant", "train")])
    assert "texts name their class" not in found([*CLEAN[1:], ("p6", "hotdogs", "dog", "train")])
    named = {"dog": ("hound",), "cat": ("cat",)}
    assert found([*CLEAN[1:], ("p6", "hound and man", "dog", "train")], **named)["texts name their class"].count == 1


def test_leaks_and_repeats_are_among_the_findings(found):
    rows = [*CLEAN, ("p0", "one fine day", "dog", "test"), ("p7", " ", "dog", "train")]
    kinds = found(rows)
    assert set(kinds) == {
        "empty texts",
        "equal texts",
        "equal pictures",
        "pairs twice",
        "shared pictures",
        "shared texts",
    }
    assert kinds["shared pictures"].places == ("'6'",)
    assert str(kinds["empty texts"]) == "1 of 8 texts are empty ('7')"


def test_a_finding_is_one_line_and_comes_back_from_json():
    one = Finding("kind", "2 of\n3 things\x1b[2J", 5, 9, ("'a'", "'b'"), "do that")
    assert "\n" not in str(one)
    assert "\x1b" not in str(one)
    assert str(one).endswith("('a', 'b', ...); do that")
    assert of_json([one.as_json(), {"kind": "other"}, 3]) == [one]
    assert of_json({"a": 1}) == of_json(None) == []


def test_the_first_of_some():
    assert first(iter("abcd")) == ("a", "b", "c")
