"""Where the vectors of a text's words come from: a file, the texts themselves, or the run that is read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dckt_core import EncoderContext, seed_for
from dckt_plugins.encoders.segmenters import Segmenter, Splits
from dckt_plugins.encoders.vector_files import read_vectors
from dckt_plugins.encoders.words import Lexicon, WantedWords, are_separated, runs_of, words_of

LONGEST_SENTENCE = 10_000
"""Words that gensim's Word2Vec reads of a sentence; it leaves out the rest without a word."""


def vectors_for(
    context: EncoderContext, file: str | None, size: int, segmenter: Segmenter | None = None
) -> tuple[list[str], Tensor]:
    """The words of the training texts and their vectors [V, d], from a file or, without one, learnt from the texts.

    For a saved encoder, whose `state` is that of `state_of`, the words and zeros in place of the vectors, which lie
    with the module's weights.

    Args:
        segmenter: what parts texts of its script, where their vectors are learnt.

    Raises:
        DataError: as `read_vectors`.
    """
    if context.state is not None:
        return list(context.state["words"]), torch.zeros(len(context.state["words"]), context.state["size"])
    if file is not None:
        wanted = WantedWords(context.texts, context.names)
        words, vectors = read_vectors(Path(file), wanted)
        return _present(words, vectors, wanted)
    return learn_vectors(context.texts, size, seed_for(context.seed, "word2vec"), segmenter)


def _present(words: list[str], vectors: Tensor, wanted: WantedWords) -> tuple[list[str], Tensor]:
    """Without the words of scripts that have no blanks that no text turned out to have."""
    lexicon = Lexicon(words)
    absent = lexicon.words.difference(*(lexicon.within(run) for run in wanted.runs))
    places = [place for place, word in enumerate(words) if word not in absent]
    return [words[place] for place in places], vectors[places]


def state_of(context: EncoderContext, words: Sequence[str], size: int, module: nn.Module) -> dict[str, Any]:
    """What an encoder keeps beside its weights: `words`, the `size` of their vectors, and a `digest` that names it all.

    A saved encoder keeps its digest, as its weights are put in only later.
    """
    if context.state is not None:
        return dict(context.state)
    digest = hashlib.sha256("\n".join(words).encode("utf-8", "surrogatepass"))
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return {"words": list(words), "size": size, "digest": digest.hexdigest()[:16]}


def learn_vectors(
    texts: Iterable[str], size: int, seed: int, segmenter: Segmenter | None = None
) -> tuple[list[str], Tensor]:
    """Words and their vectors [V, size], by gensim's Word2Vec (skip-gram) on the texts at hand; same seed, same bits.

    Where texts have blanks between words that are written without, these blanks count; otherwise each letter of such a
    script is a word. Small collections are read more often: at least about a million words pass in all.
    """
    from gensim.models import Word2Vec

    texts = list(texts)
    lexicon: Splits = Lexicon(runs_of(texts) if are_separated(texts) else ())
    lexicon = segmenter.beside(lexicon) if segmenter else lexicon
    sentences = [
        words[start : start + LONGEST_SENTENCE]
        for words in (words_of(text, lexicon=lexicon) for text in texts)
        for start in range(0, len(words), LONGEST_SENTENCE)
    ]
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


def _stable_hash(word: str) -> int:
    """Python's own hash of a string differs from one process to the next."""
    return int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:4], "big")
