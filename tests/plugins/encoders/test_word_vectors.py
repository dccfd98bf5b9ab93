from __future__ import annotations

import torch

from dckt_plugins.encoders.word_vectors import learn_vectors
from dckt_plugins.encoders.words import vocabulary

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
