from __future__ import annotations

import gzip
import pickle
import struct

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dckt_core.base.errors import DataError
from dckt_plugins.encoders.words import Vocabulary, fold, learn_vectors, read_vectors, vocabulary, words_of


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


# --- learning -------------------------------------------------------------------------------------------------

TEXTS = ["a dog runs on the beach", "two cats sleep on a sofa", "the dog sleeps", ""] * 3


def test_learnt_vectors_cover_every_word_and_repeat():
    words, vectors = learn_vectors(TEXTS, 8, seed=3)
    assert set(words) == vocabulary(TEXTS)
    assert vectors.shape == (len(words), 8)
    assert vectors.dtype == torch.float32
    again, same = learn_vectors(TEXTS, 8, seed=3)
    assert again == words
    assert torch.equal(same, vectors)
    assert not torch.equal(learn_vectors(TEXTS, 8, seed=4)[1], vectors)


def test_learnt_vectors_bring_together_what_is_used_alike():
    texts = [f"the {animal} eats {food} at home" for animal in ("dog", "cat") for food in ("meat", "fish")] * 20
    texts += [f"a {vehicle} drives on wide roads" for vehicle in ("car", "bus")] * 40
    words, vectors = learn_vectors(texts, 16, seed=0)
    unit = dict(zip(words, torch.nn.functional.normalize(vectors), strict=True))
    assert unit["dog"] @ unit["cat"] > unit["dog"] @ unit["bus"]
    assert unit["car"] @ unit["bus"] > unit["car"] @ unit["cat"]


def test_no_words_no_vectors():
    words, vectors = learn_vectors(["", "🐶"], 8, seed=0)
    assert words == []
    assert vectors.shape == (0, 8)


def test_words_far_inside_a_long_text_are_learnt_too():
    """Word2Vec leaves out what lies beyond the first 10000 words of a sentence."""
    long = "start " * 10_000 + "one two " * 200
    words, vectors = learn_vectors([long], 4, seed=0)
    lengths = dict(zip(words, vectors.norm(dim=1), strict=True))
    assert lengths["one"] > 0.5  # it begins with at most 0.5 / sqrt(4)


# --- files ----------------------------------------------------------------------------------------------------

PLAIN = b"4 2\nDog 1 2\ndog 3 4\nCat 5 6\nbird 7 8\n"
BINARY = b"2 2\ndog " + struct.pack("2f", 3, 4) + b"\nCat " + struct.pack("2f", 5, 6) + b"\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vectors.txt", PLAIN),
        ("vectors.vec", PLAIN),
        ("doubled.txt", PLAIN.replace(b"4 2", b"5 2") + b"dog 9 9\n"),
        ("doubled-glove.txt", PLAIN.split(b"\n", 1)[1] + b"dog 9 9\n"),
        ("vectors.txt.gz", gzip.compress(PLAIN, mtime=0)),
        ("glove.txt", PLAIN.split(b"\n", 1)[1]),
        ("vectors.bin", BINARY),
        ("vectors.bin.gz", gzip.compress(BINARY, mtime=0)),
    ],
)
def test_files_of_vectors(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    words, vectors = read_vectors(tmp_path / name, {"dog", "cat", "fish"})
    found = dict(zip(words, vectors.tolist(), strict=True))
    assert found == {"dog": [3, 4], "cat": [5, 6]}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.txt", None, "no such file of word vectors"),
        ("empty.txt", b"", "not word vectors"),
        ("short.txt", b"3 2\ndog 3 4\n", "not word vectors"),
        ("words.txt", b"4 2\ndog three four\n", "not word vectors"),
        ("latin1.txt", "1 2\ncafé 1 2\n".encode("latin-1"), "not word vectors"),
        ("nan.txt", b"2 2\ncat 1 2\ndog nan 6\n", "the vector of 'dog' holds numbers that are not finite"),
        ("strange.txt", b"1 2\nchien 1 2\n", "it has none of the 2 words of the texts"),
        ("short.bin", BINARY[:-6], "not word vectors"),
        ("text.bin", b"dog 3 4\n", "not word vectors"),
        ("huge.bin", b"99999999999999 300\n", "not word vectors"),
        ("broken.gz", b"no archive", "not word vectors"),
        ("short.txt.gz", gzip.compress(PLAIN, mtime=0)[:-12], "not word vectors"),
        ("gensim.kv", pickle.dumps({}), "may run code"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path, name, content, says):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_vectors(path, {"dog", "cat"})
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert not message.endswith(": ")
