"""How much a word counts in the mean of a text's word vectors.

Each way takes the training texts as lists of word numbers, and how many words V there are; it gives the weights [V],
float32, at least 0. A word that no text has gets the largest weight of its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor

Texts = Sequence[Sequence[int]]

SIF_A = 1e-3
"""The constant of SIF; Arora et al. recommend 1e-4 to 1e-3."""


def none(texts: Texts, size: int) -> Tensor:
    """1 for every word."""
    return torch.ones(size)


def idf(texts: Texts, size: int) -> Tensor:
    """Inverse document frequency, ln((1 + N) / (1 + n_w)) + 1, where n_w of all N texts have word w.

    Smoothed as in scikit-learn's `TfidfTransformer`: as if one more text had every word, and a word that all texts have
    still counts 1. Sparck Jones, A statistical interpretation of term specificity and its application in retrieval,
    1972.
    """
    return torch.log((1 + len(texts)) / (1 + _counts(map(set, texts), size))).add(1).float()


def sif(texts: Texts, size: int) -> Tensor:
    """Smooth inverse frequency, a / (a + p_w), where p_w is the share of word w among all of these words in the texts.

    Arora, Liang and Ma, A simple but tough-to-beat baseline for sentence embeddings, 2017; without their removal of the
    first principal component.
    """
    counts = _counts(texts, size)
    return (SIF_A / (SIF_A + counts / counts.sum().clamp_min(1))).float()


WEIGHTS: Mapping[str, Callable[[Texts, int], Tensor]] = {"none": none, "idf": idf, "sif": sif}
"""By the name of the option's value."""


def _counts(texts: Iterable[Iterable[int]], size: int) -> Tensor:
    """How often each word occurs, [size], float64."""
    counts = torch.zeros(size, dtype=torch.float64)
    for word, count in Counter(chain.from_iterable(texts)).items():
        counts[word] = count
    return counts
