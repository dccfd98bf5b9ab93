from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_plugins.encoders.words import Vocabulary, fold, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two dogs, 2 cats!", ["two", "dogs", "2", "cats"]),
        ("Don't; the O’Neils' 3rd snake_case", ["don't", "the", "o'neils", "3rd", "snake", "case"]),
        ("ÜBER die STRASSE", ["über", "die", "strasse"]),
        ("e\u0301te\u0301", ["été"]),
        ("犬と猫", ["犬", "と", "猫"]),
        ("我爱dog。", ["我", "爱", "dog"]),
        ("مَرْحَبًا، بالعالم؟", ["مَرْحَبًا", "بالعالم"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("วันดี", ["วั", "น", "ดี"]),
        ("두 마리 개", ["두", "마리", "개"]),
        ("🐶 run 👩‍👩‍👧!", ["run"]),
        ("", []),
        (" \n\t…", []),
    ],
)
def test_words_of_many_scripts(text, words):
    assert words_of(text) == words


@given(st.text(), st.integers(0, 5))
def test_words_are_clean_in_any_text(text, limit):
    words = words_of(text)
    assert words_of(text, limit) == words[:limit]
    for word in words:
        assert word
        assert not any(character.isspace() for character in word)
        assert fold(word) == fold(fold(word))
        word.encode("utf-8")  # no half of a surrogate pair, which JSON could not hold


@given(st.lists(st.sampled_from(["dog", "Hund", "犬", "كلب", "🐶", "don't"])))
def test_case_and_spaces_make_no_difference(words):
    assert words_of("  ".join(words).upper()) == words_of(" ".join(words))


def test_a_limit_saves_the_work_beyond_it(monkeypatch):
    folded = []
    monkeypatch.setattr("dckt_plugins.encoders.words.fold", lambda word: folded.append(word) or word)
    assert words_of("word " * 1_000_000, 200) == ["word"] * 200
    assert len(folded) == 200


# --- numbers ---------------------------------------------------------------------------------------------------


def test_known_words_and_those_that_two_of_them_make():
    vocabulary = Vocabulary(["tv", "monitor", "t", "vmonitor", "dining", "table", "tab", "ledge", "le"])
    assert vocabulary.read("A dining TABLE, a tv") == [4, 5, 0]
    assert vocabulary.numbers("diningtable") == (4, 5)
    assert vocabulary.numbers("tvmonitor") == (0, 1)  # no word of one letter takes part
    assert vocabulary.numbers("tableledge") == (5, 7)
    assert vocabulary.numbers("diningtvtable") == vocabulary.numbers("diningtables") == vocabulary.numbers("") == ()
    assert vocabulary.read("diningtable tv", 2) == [4, 5]
    assert Vocabulary(["tab", "ledge", "table", "dge"]).numbers("tabledge") == (2, 3)  # the longest first word
    assert Vocabulary([]).read("tv") == []


@given(
    st.lists(st.sampled_from(["dog", "house", "cat", "doghouse", "catdoghouse", "x"]), max_size=9), st.integers(0, 9)
)
def test_numbers_are_those_of_words_and_never_more_than_the_limit(words, limit):
    known = ["dog", "house", "cat"]
    numbers = Vocabulary(known).read(" ".join(words), limit)
    assert len(numbers) <= limit
    read = [known[number] for number in numbers]
    spelled = [part for word in words[:limit] for part in word.replace("doghouse", "dog house").split()]
    assert read == [word for word in spelled if word in known][:limit] or "catdoghouse" in words
