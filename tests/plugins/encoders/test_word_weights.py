from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from dckt_plugins.encoders.word_weights import SIF_A, WEIGHTS, idf, none, sif
from tests.support.tolerance import assert_same

SIZE = 6
TEXTS = st.lists(st.lists(st.integers(0, SIZE - 2), max_size=8), max_size=12)
"""Texts of word numbers; the last word is in none of them."""
each = pytest.mark.parametrize("weigh", WEIGHTS.values(), ids=WEIGHTS)


def test_by_hand() -> None:
    texts = [[0, 1, 0], [0, 2], [0], []]  # N = 4; word 0 in 3 texts, 1 and 2 in one, 3 in none; 6 words in all
    expected = {
        "none": [1, 1, 1, 1],
        "idf": [math.log(5 / 4) + 1, math.log(5 / 2) + 1, math.log(5 / 2) + 1, math.log(5) + 1],
        "sif": [0.001 / (0.001 + 4 / 6), 0.001 / (0.001 + 1 / 6), 0.001 / (0.001 + 1 / 6), 1],
    }
    for name, weights in expected.items():
        assert_same(WEIGHTS[name](texts, 4), torch.tensor(weights, dtype=torch.float64))


@given(TEXTS.filter(len))
def test_idf_is_that_of_scikit_learn(texts: list[list[int]]) -> None:
    counts = torch.stack([torch.bincount(torch.tensor(text, dtype=torch.int64), minlength=SIZE) for text in texts])
    theirs = TfidfTransformer().fit(counts.numpy()).idf_
    assert_same(idf(texts, SIZE), torch.from_numpy(theirs))


@each
@given(texts=TEXTS, seed=st.integers(0, 99))
def test_frequent_words_never_weigh_more(weigh, texts: list[list[int]], seed: int) -> None:
    weights = weigh(texts, SIZE)
    assert (weights.shape, weights.dtype) == ((SIZE,), torch.float32)
    assert (weights > 0).all()
    assert weights[SIZE - 1] == weights.max()  # in no text
    count = [sum(word in text if weigh is idf else text.count(word) for text in texts) for word in range(SIZE)]
    order = sorted(range(SIZE), key=count.__getitem__)
    assert weights[order].diff().max() <= 0
    shuffled = random.Random(seed).sample(texts, len(texts))
    assert torch.equal(weigh([text[::-1] for text in shuffled], SIZE), weights)


@given(TEXTS)
def test_ranges(texts: list[list[int]]) -> None:
    assert torch.equal(none(texts, SIZE), torch.ones(SIZE))
    assert idf(texts, SIZE).min() >= 1
    smooth = sif(texts, SIZE)
    assert smooth.min() >= torch.tensor(SIF_A / (SIF_A + 1))
    assert smooth.max() == 1


@each
def test_no_words_and_no_texts(weigh) -> None:
    assert weigh([], 0).shape == weigh([[]], 0).shape == (0,)
    assert torch.equal(weigh([], 3), torch.ones(3))
