"""Words and their vectors: how a text becomes words, and where vectors come from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dckt_core.errors import DataError

# Scripts written without spaces between words: each character stands for itself.
_UNSPACED = "぀-ヿ㐀-䶿一-鿿豈-﫿฀-๿"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['’][^\W\d_{_UNSPACED}]+)*")


def words_of(text: str, limit: int | None = None) -> list[str]:
    """The words of a text in any script, case folded, at most `limit`; digits are words, punctuation is none.

    >>> words_of("Two dogs, 2 cats; 犬と猫")
    ['two', 'dogs', '2', 'cats', '犬', 'と', '猫']
    """
    words = []
    for match in _WORD.finditer(text):
        if limit is not None and len(words) >= limit:
            break
        words.append(match.group().casefold())
    return words


def learn_vectors(texts: Iterable[str], size: int, seed: int) -> tuple[list[str], Tensor]:
    """Words and their vectors [V, size], by gensim's Word2Vec (skip-gram) on the texts at hand; same seed, same bits.

    Small collections are read more often: at least about a million words pass in all.
    """
    from gensim.models import Word2Vec

    sentences = [words for words in map(words_of, texts) if words]
    if not sentences:
        return [], torch.empty(0, size)
    count = sum(map(len, sentences))
    model = Word2Vec(
        sentences,
        vector_size=size,
        window=5,
        min_count=1,
        sg=1,
        epochs=min(100, max(5, 1_000_000 // count)),
        seed=seed % 2**32,
        workers=1,  # more would make the result depend on timing
        hashfxn=_stable_hash,
    )
    return list(model.wv.index_to_key), torch.from_numpy(np.array(model.wv.vectors, dtype=np.float32))


def read_vectors(path: Path, wanted: set[str]) -> tuple[list[str], Tensor]:
    """The wanted words that a file in word2vec format has, and their vectors [V, d].

    Raises:
        DataError: the file is missing, in another format, or holds numbers that are not finite.
    """
    from gensim.models import KeyedVectors

    if not path.is_file():
        raise DataError(f"{path}: no such file of word vectors")
    name = path.name.removesuffix(".gz")
    if name.endswith((".kv", ".model", ".pkl", ".npy")):
        raise DataError(
            f"{path}: gensim's own format is a pickle, which may run code when loaded; "
            "save it with save_word2vec_format and name that file"
        )
    try:
        vectors = KeyedVectors.load_word2vec_format(str(path), binary=name.endswith(".bin"))
    except Exception as error:
        raise DataError(f"{path}: not word vectors in word2vec format: {' '.join(str(error).split())}") from None
    words = [word for word in vectors.index_to_key if word in wanted or word.casefold() in wanted]
    table = (
        torch.from_numpy(np.array(vectors[words], dtype=np.float32)) if words else torch.empty(0, vectors.vector_size)
    )
    if not torch.isfinite(table).all():
        raise DataError(f"{path}: it holds numbers that are not finite")
    folded: dict[str, int] = {}
    for row, word in enumerate(words):  # an exact match wins over one that differs in case
        if word in wanted or word.casefold() not in folded:
            folded[word.casefold()] = row
    return list(folded), table[list(folded.values())]


def vocabulary(texts: Sequence[str]) -> set[str]:
    """All words of some texts."""
    return {word for text in texts for word in words_of(text)}


def _stable_hash(word: str) -> int:
    """Python's own hash of a string differs from one process to the next."""
    return int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:4], "big")
