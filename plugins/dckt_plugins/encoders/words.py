"""How a text becomes words, and words numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

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
