"""fastText's own models (`.bin`): the vectors of the words in their vocabularies.

The layout is that of version 12 of the format, `saveModel` of fastText 0.9: magic number and version, the arguments,
the dictionary, then the input matrix, whose first rows are the words' and whose others those of hashed character
n-grams. A word's vector is the mean of its own row and those of its n-grams (Bojanowski et al., Enriching Word Vectors
with Subword Information, 2017), as fastText's `.vec` files have it.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from dckt_plugins.encoders.kept_vectors import BLOCK, MAX_SIZE, MAX_WORD_BYTES, Kept, Row

MAGIC = struct.pack("<i", 793_712_314)

MAX_NGRAM = 64
"""Characters of an n-gram, at most: it bounds what a model that lies makes of a word."""

SUPERVISED, LABEL = 3, 1
_FNV_OFFSET, _FNV_PRIME = 2_166_136_261, 16_777_619


def read_model(stream: BinaryIO, kept: Kept) -> None:
    """Puts the wanted words' vectors into `kept`.

    Raises:
        ValueError: the model is cut short, of another version, quantised, or no model.
    """
    _, version = _unpack(stream, "<2i")
    if version not in (11, 12):
        raise ValueError(f"it is of version {version}, and 11 and 12 are read")
    size, _, _, _, _, _, _, model, buckets, shortest, longest, _ = _unpack(stream, "<12i")
    _unpack(stream, "<d")
    if version == 11 and model == SUPERVISED:
        longest = 0  # such models say otherwise, and have no n-grams
    entries, words, _, _, pruned = _unpack(stream, "<3i2q")
    if not 1 <= size <= MAX_SIZE or not 0 <= words <= entries or buckets < 0 or longest > MAX_NGRAM:
        raise ValueError(f"it says that it has {words} words of {size} values, and n-grams of {longest} characters")
    kept.claimed = words
    rows = _words(stream, entries, kept)
    if kept.rows != words:
        raise ValueError(f"it says that it has {words} words, and its dictionary has {kept.rows}")
    if pruned > 0:
        raise ValueError("it is quantised; take the model that it was made of, or its .vec file")
    (quantised,) = _unpack(stream, "<?")
    if quantised:
        raise ValueError("it is quantised; take the model that it was made of, or its .vec file")
    height, width = _unpack(stream, "<2q")
    if width != size or height < words:
        raise ValueError(f"its matrix has {height} rows of {width} values, not {words} or more of {size}")

    sharing: dict[int, list[str]] = defaultdict(list)  # the words whose vectors a row of the matrix takes part in
    counts: dict[str, int] = {}
    for word, (row, spelled) in rows.items():
        parts = [row]
        if buckets > 0 and longest > 0:
            parts += [words + hashed(part) % buckets for part in ngrams(spelled, shortest, longest)]
        if max(parts) >= height:
            raise ValueError(f"its matrix has {height} rows, too few for the n-grams of its words")
        counts[word] = len(parts)
        for part in parts:
            sharing[part].append(word)
    sums = {word: np.zeros(size) for word in rows}
    for values, sharers in _matrix(stream, sharing, height, size):
        for word in sharers:
            sums[word] += values
    for word, total in sums.items():
        kept.put(word, (total / counts[word]).astype(np.float32))


def ngrams(word: str, shortest: int, longest: int) -> Iterator[bytes]:
    """The character n-grams of a word between `<` and `>`, in UTF-8; the brackets alone are none."""
    marked = f"<{word}>"
    for start in range(len(marked)):
        for length in range(max(1, shortest), longest + 1):
            if start + length > len(marked):
                break
            if length == 1 and start in (0, len(marked) - 1):
                continue
            yield marked[start : start + length].encode()


def hashed(part: bytes) -> int:
    """fastText's hash: 32-bit FNV-1a, over bytes as signed numbers."""
    value = _FNV_OFFSET
    for byte in part:
        value ^= byte if byte < 128 else byte | 0xFFFFFF00
        value = value * _FNV_PRIME & 0xFFFFFFFF
    return value


def _unpack(stream: BinaryIO, layout: str) -> tuple[int, ...]:
    content = stream.read(struct.calcsize(layout))
    if len(content) < struct.calcsize(layout):
        raise ValueError("it is cut short, before its matrix")
    return struct.unpack(layout, content)


def _words(stream: BinaryIO, entries: int, kept: Kept) -> dict[str, tuple[int, str]]:
    """The row and the spelling of each wanted word."""
    found: dict[str, tuple[int, str]] = {}
    data, at, number = b"", 0, 0
    for entry in range(entries):
        while (end := data.find(b"\0", at)) < 0 or end + 10 > len(data):
            more = stream.read(BLOCK) if len(data) - at <= MAX_WORD_BYTES + 10 else b""
            if not more:
                raise ValueError(f"it is cut short in its dictionary, at word {entry + 1} of {entries}")
            data, at = data[at:] + more, 0
        word = data[at:end]
        if data[end + 9] != LABEL:
            folded = kept.offer(word)
            if folded is not None:
                found[folded] = number, word.decode()
                kept.vectors.setdefault(folded, np.empty(0, dtype=np.float32))  # put when its rows are read
            number += 1
        at = end + 10
    stream.seek(at - len(data), 1)
    return found


def _matrix(stream: BinaryIO, sharing: dict[int, list[str]], height: int, size: int) -> Iterator[tuple[Row, list[str]]]:
    """The rows [size] that are wanted, each with those who want it; the last row must be there in any case."""
    at = 0
    for row in sorted({*sharing, height - 1}):
        stream.seek(4 * size * (row - at), 1)
        content = stream.read(4 * size)
        if len(content) < 4 * size:
            raise ValueError(f"it is cut short, in its matrix: row {row + 1} of {height} is not there")
        yield np.frombuffer(content, "<f4"), sharing.get(row, [])
        at = row + 1
