from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dckt_plugins.encoders.words import Lexicon, Vocabulary, WantedWords, are_separated, fold, words_of


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
        ("ＤＯＧ ﬁre ｲﾇ ２０２６", ["dog", "fire", "イ", "ヌ", "2026"]),  # full width, ligatures, half width
        ("Brand™ 5 m² ½", ["brand", "5", "m2", "1", "2"]),  # what is no letter stays none
        ("人々", ["人", "々"]),
        ("ﷺ", ["صلى", "الله", "عليه", "وسلم"]),
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


# --- scripts without blanks between words ------------------------------------------------------------------------

CHINESE = ["小狗", "沙滩", "跑步", "滩跑", "在"]


@pytest.mark.parametrize(
    ("text", "known", "words"),
    [
        ("小狗在沙滩跑步", CHINESE, ["小狗", "在", "沙滩", "跑步"]),
        ("小狗 在 沙滩 跑步", CHINESE, ["小狗", "在", "沙滩", "跑步"]),
        ("小 狗在沙滩跑步", CHINESE, ["小", "狗", "在", "沙滩", "跑步"]),  # a blank parts what would be a word
        ("大狗 dog小狗", CHINESE, ["大", "狗", "dog", "小狗"]),
        ("小狗屋", [*CHINESE, "小狗屋", "狗屋"], ["小狗屋"]),  # the longest
        ("小狗屋", [*CHINESE, "狗屋"], ["小狗", "屋"]),  # from left to right
        ("犬が海辺を走る", ["海辺", "走る"], ["犬", "が", "海辺", "を", "走る"]),
        ("สุนัขวิ่งบนชายหาด", ["สุนัข", "วิ่ง", "บน", "ชายหาด"], ["สุนัข", "วิ่ง", "บน", "ชายหาด"]),
        ("น้ำ", ["น้ำ"], ["น้ำ"]),  # NFKC makes another letter of its last mark
    ],
)
def test_the_longest_words_that_are_known(text, known, words):
    assert words_of(text, lexicon=Lexicon(map(fold, known))) == [fold(word) for word in words]


@given(st.lists(st.sampled_from(["小狗", "沙滩", "跑步", "在", "dog", " ", "ク", "。"]), max_size=9), st.integers(0, 5))
def test_no_letter_is_lost_whatever_is_known(pieces, limit):
    text = "".join(pieces)
    words = words_of(text, lexicon=Lexicon(CHINESE))
    assert "".join(words) == "".join(words_of(text))
    assert words_of(text, limit, Lexicon(CHINESE)) == words[:limit]


def test_blanks_that_part_words_are_told_from_those_that_part_phrases():
    assert are_separated(["小狗 在 沙滩 跑步", "大 狗 睡觉", "a dog"])
    assert are_separated(["สุนัข วิ่ง บน ชายหาด"])
    assert not are_separated(["小狗在沙滩跑步", "大狗睡觉"])
    assert not are_separated(["一只小狗在沙滩上跑步 两只大狗在沙发上睡觉", "天气很好"])
    assert not are_separated(["a dog runs", ""])
    assert not are_separated([])


def test_wanted_are_words_and_all_parts_of_runs():
    wanted = WantedWords(["小狗在沙滩 跑步", "a dog"], ["diningtable", "沙发床"])
    assert all(
        word in wanted for word in ["小狗", "狗在", "小狗在沙滩", "跑步", "小", "a", "dog", "dining", "table", "沙发"]
    )
    assert not any(word in wanted for word in ["滩跑", "大狗", "cat", "do", "T恤", "", None])


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
