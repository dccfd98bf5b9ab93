from __future__ import annotations

import pytest
import torch

from dckt_plugins.encoders.word_vectors import learn_vectors
from dckt_plugins.encoders.words import vocabulary
from tests.support.encoding import encode

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


def test_blanks_between_words_that_are_written_without_are_kept():
    words, _ = learn_vectors(["小狗 在 沙滩 跑步", "大狗 在 沙发 睡觉"] * 3, 4, seed=0)
    assert set(words) == {"小狗", "在", "沙滩", "跑步", "大狗", "沙发", "睡觉"}
    letters, _ = learn_vectors(["小狗在沙滩跑步", "大狗在沙发睡觉"] * 3, 4, seed=0)
    assert set(letters) == set("小狗在沙滩跑步大发睡觉")


# --- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["mean-vectors", "wordcnn"])
@pytest.mark.parametrize("text", ["小狗在沙滩跑步", "小狗 在 沙滩 跑步"])
def test_words_of_a_file_are_found_in_texts_without_blanks_and_with(build, tmp_path, encoder, text):
    (tmp_path / "v.txt").write_text("小狗 1 0 0\n沙滩 0 1 0\n跑步 0 0 1\n滩跑 9 9 9\n大狗 9 9 9\n", encoding="utf-8")
    made = build(encoder, texts=[text], vectors=str(tmp_path / "v.txt"))
    assert made.state["words"][:3] == ["小狗", "沙滩", "跑步"]
    assert ("滩跑" in made.state["words"]) == (" " not in text)
    assert made.words(text) == list(zip(["小狗", "在", "沙滩", "跑步"], [True, False, True, True], strict=True))
    other = " ".join(text) if " " in text else "跑步在沙滩小狗"
    rows = encode(made, text, "小狗在沙滩跑步", "小狗 在 沙滩 跑步", other)
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0], rows[2])
    assert not torch.equal(rows[0], rows[3]) or encoder == "mean-vectors"


def test_words_that_no_text_has_after_all_are_not_kept(build, tmp_path):
    """All pairs of neighbours are there, and the word is not."""
    (tmp_path / "v.txt").write_text("狗在沙 1 0\n小狗在沙滩 0 1\n在沙滩 1 1\n", encoding="utf-8")
    made = build("mean-vectors", texts=["小狗在 狗在沙", "沙滩", "在沙滩"], vectors=str(tmp_path / "v.txt"))
    assert made.state["words"] == ["狗在沙", "在沙滩"]
