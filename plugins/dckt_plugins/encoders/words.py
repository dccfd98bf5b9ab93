"""Words and their vectors: how a text becomes words, and where vectors come from."""

from __future__ import annotations

import gzip
import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dckt_core import DataError, EncoderContext, logger, seed_for
from dckt_plugins.encoders.weights import one_line

# Scripts written without spaces between words: each character, with the marks on it, stands for itself.
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han
    "\U00020000-\U0003ffff"  # rarer Han
)
# Vowel signs and accents belong to the letter before them, and so do the joiners of Indic scripts and Persian.
_MARKS = "".join(chr(n) for n in range(0x300, 0x10000) if unicodedata.category(chr(n))[0] == "M") + "\u200c\u200d"
_LETTER = rf"[^\W_{_UNSPACED}][{_MARKS}]*"
_WORD = re.compile(rf"(?:(?![{_MARKS}])[{_UNSPACED}][{_MARKS}]*)|(?:{_LETTER})+(?:['’](?!\d)(?:{_LETTER})+)*")

SHORTEST = 2
"""Letters of a word that another one is made of, at least."""

FEW = 0.6
"""Share of the training texts' words with vectors below which a warning is due."""

LONGEST_SENTENCE = 10_000
"""Words that gensim's Word2Vec reads of a sentence; it leaves out the rest without a word."""


def words_of(text: str, limit: int | None = None) -> list[str]:
    """The words of a text in any script, case folded, at most `limit`; numbers count, punctuation and emoji do not.

    >>> words_of("Two dogs, 2 cats; 犬と猫")
    ['two', 'dogs', '2', 'cats', '犬', 'と', '猫']
    """
    words: list[str] = []
    for match in _WORD.finditer(text):
        if limit is not None and len(words) >= limit:
            break
        words.append(fold(match.group()))
    return words


def fold(word: str) -> str:
    """A word in the one spelling that stands for all its cases, compositions and apostrophes."""
    return unicodedata.normalize("NFC", word.casefold()).replace("’", "'")


class Vocabulary:
    """Known words and their numbers from 0, in the order given.

    An unknown word that is two known ones written together, such as `diningtable`, counts as these; where there are
    several ways to part it, the one whose first word is longest.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._numbers = {word: number for number, word in enumerate(words)}

    def read(self, text: str, limit: int | None = None) -> list[int]:
        """Numbers of a text's known words, in order, of its first `limit` words and at most so many."""
        return [number for word in words_of(text, limit) for number in self.numbers(word)][:limit]

    def numbers(self, word: str) -> tuple[int, ...]:
        """A word's number, those of the two that it is made of, or none."""
        if word in self._numbers:
            return (self._numbers[word],)
        for place in range(len(word) - SHORTEST, SHORTEST - 1, -1):
            first, second = word[:place], word[place:]
            if first in self._numbers and second in self._numbers:
                return self._numbers[first], self._numbers[second]
        return ()


def tell_coverage(encoder: str, texts: Sequence[str], is_known: Callable[[str], object]) -> None:
    """Says in one line how many words of the training texts have vectors; a warning where they are few.

    is_known: whether a word, as `words_of` gives it, has a vector.
    """
    if not texts:
        return
    counts = Counter(word for text in texts for word in words_of(text))
    known = {word: count for word, count in counts.items() if is_known(word)}
    total, found = counts.total(), sum(known.values())
    if total == 0:
        logger.warning("encoder '%s': the training texts have no words", encoder)
        return
    told = f"encoder '{encoder}': {found / total:.1%} of the {total:,} words of the training texts have vectors"
    told += f" ({len(known):,} of {len(counts):,} different ones)"
    if found / total < FEW:
        logger.warning("%s; the others are left out: do texts and vectors share their language?", told)
    else:
        logger.info("%s", told)


def vectors_for(context: EncoderContext, file: str | None, size: int) -> tuple[list[str], Tensor]:
    """The words of the training texts and their vectors [V, d], from a file or, without one, learnt from the texts.

    For a saved encoder, whose `state` is that of `state_of`, the words and zeros in place of the vectors, which lie
    with the module's weights.

    Raises:
        DataError: as `read_vectors`.
    """
    if context.state is not None:
        return list(context.state["words"]), torch.zeros(len(context.state["words"]), context.state["size"])
    if file is not None:
        return read_vectors(Path(file), vocabulary(context.texts) | pieces(vocabulary(context.names)))
    return learn_vectors(context.texts, size, seed_for(context.seed, "word2vec"))


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


def learn_vectors(texts: Iterable[str], size: int, seed: int) -> tuple[list[str], Tensor]:
    """Words and their vectors [V, size], by gensim's Word2Vec (skip-gram) on the texts at hand; same seed, same bits.

    Small collections are read more often: at least about a million words pass in all.
    """
    from gensim.models import Word2Vec

    sentences = [
        words[start : start + LONGEST_SENTENCE]
        for words in map(words_of, texts)
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


def read_vectors(path: Path, wanted: set[str]) -> tuple[list[str], Tensor]:
    """The wanted words (as `fold` spells them) that a file has, and their vectors [V, d].

    The file is in word2vec format: `.bin` is binary, anything else is text, with or without the line of counts
    (GloVe's files have none); `.gz` is unpacked. Where it has a word in several cases, the folded one wins, then the
    first.

    Raises:
        DataError: the file is missing, in another format, holds numbers that are not finite or no wanted word.
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
    binary = name.endswith(".bin")
    try:
        no_header = not binary and len(_first_line(path).split()) > 2
        vectors = KeyedVectors.load_word2vec_format(str(path), binary=binary, no_header=no_header)
    except Exception as error:
        raise DataError(f"{path}: not word vectors in word2vec format: {one_line(error)}") from None
    rows: dict[str, int] = {}
    for row, word in enumerate(vectors.index_to_key):
        if word is None:  # stands at the end for each word that the file has twice, of which the first counts
            continue
        folded = fold(word)
        if folded in wanted and (word == folded or folded not in rows):
            rows[folded] = row
    if wanted and not rows:
        raise DataError(f"{path}: it has none of the {len(wanted)} words of the texts")
    table = torch.from_numpy(np.array(vectors.vectors[list(rows.values())], dtype=np.float32))
    if not torch.isfinite(table).all():
        word = list(rows)[int((~torch.isfinite(table).all(dim=1)).nonzero()[0])]
        raise DataError(f"{path}: the vector of '{word}' holds numbers that are not finite")
    return list(rows), table


def _first_line(path: Path) -> bytes:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return file.readline(1_000_000)


def vocabulary(texts: Sequence[str]) -> set[str]:
    """All words of some texts."""
    return {word for text in texts for word in words_of(text)}


def pieces(words: Iterable[str]) -> set[str]:
    """Words, and all pairs of words that they may be made of."""
    found = set(words)
    for word in tuple(found):
        for place in range(SHORTEST, len(word) - SHORTEST + 1):
            found |= {word[:place], word[place:]}
    return found


def _stable_hash(word: str) -> int:
    """Python's own hash of a string differs from one process to the next."""
    return int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:4], "big")
