"""How a text becomes words, and words numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from dckt_plugins.encoders.segmenters import Segmenter, Splits

READING = "3"
"""In fingerprints; counts up with every change of how a text becomes words, or these a row."""

# Scripts written without blanks between words; a letter of theirs is one with the marks on it.
_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # kana and Han
    "\U00020000-\U0003ffff"  # rarer Han
)
# Vowel signs and accents belong to the letter before them, and so do the joiners of Indic scripts and Persian.
_MARKS = "".join(chr(n) for n in range(0x300, 0x10000) if unicodedata.category(chr(n))[0] == "M") + "\u200c\u200d"
_LETTER = rf"[^\W_{_UNSPACED}][{_MARKS}]*"
_UNSPACED_LETTER = rf"(?![{_MARKS}])[{_UNSPACED}][{_MARKS}]*"
_STRETCH = re.compile(rf"[\w'’{_MARKS}]+")
_WORD = re.compile(rf"(?:{_UNSPACED_LETTER})+|(?:{_LETTER})+(?:['’](?!\d)(?:{_LETTER})+)*")
_RUN = re.compile(rf"(?:{_UNSPACED_LETTER})+")
_LETTERS = re.compile(_UNSPACED_LETTER)
_GAP = re.compile(rf"[{_UNSPACED}][{_MARKS}]*\s+(?=[{_UNSPACED}])")

SHORTEST = 2
"""Letters of a word that another one is made of, at least."""

SEPARATED = 4
"""Letters between two blanks, on average and at most, where blanks stand between words and not between phrases."""


def words_of(text: str, limit: int | None = None, lexicon: Splits | None = None) -> list[str]:
    """The words of a text in any script, as `fold` spells them, at most `limit`; punctuation and emoji do not count.

    Where a script has no blanks between words, these are the longest that the lexicon has, from left to right; a letter
    that begins none stands for itself; or whatever else parts them. Blanks that are there part words all the same.

    >>> words_of("Two dogs, 2 cats; 犬と猫")
    ['two', 'dogs', '2', 'cats', '犬', 'と', '猫']
    >>> words_of("小狗在沙滩 跑步", lexicon=Lexicon(["小狗", "沙滩", "跑步", "滩跑"]))
    ['小狗', '在', '沙滩', '跑步']
    """
    words: list[str] = []
    for word in _spelled(text):
        if _RUN.match(word):
            words += (lexicon or _LETTERS_ALONE).split(word)
        else:
            words.append(word)
        if limit is not None and len(words) >= limit:
            break
    return words[:limit]


def _spelled(text: str) -> Iterator[str]:
    """A text's words, and whole runs of letters that have no blanks between words, folded.

    What a letter is compatible with (NFKC) may be several words: only then is it known where these begin and end.
    """
    for stretch in _STRETCH.finditer(text):
        letters = stretch.group()
        if not letters.isascii():
            letters = unicodedata.normalize("NFKC", letters)
        for match in _WORD.finditer(letters):
            yield fold(match.group())


def fold(word: str) -> str:
    """A word in the one spelling that stands for all its cases, compositions, widths and apostrophes (NFKC)."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return unicodedata.normalize("NFKC", folded).replace("’", "'")


class Lexicon:
    """Words of scripts that have no blanks between them, for the longest match.

    Attributes:
        words: those of more than one letter.
    """

    def __init__(self, words: Iterable[str] = ()) -> None:
        lengths = {word: len(_LETTERS.findall(word)) for word in words if _RUN.fullmatch(word)}
        self.words = frozenset(word for word, length in lengths.items() if length > 1)
        self._longest = max((lengths[word] for word in self.words), default=1)

    def split(self, run: str) -> list[str]:
        """The words of a run of letters."""
        letters = _LETTERS.findall(run)
        words: list[str] = []
        start = 0
        while start < len(letters):
            word = next((word for word in reversed(self._from(letters, start))), letters[start])
            words.append(word)
            start += len(_LETTERS.findall(word))
        return words

    def within(self, run: str) -> set[str]:
        """All of its words that a run of letters has anywhere."""
        letters = _LETTERS.findall(run)
        return {word for start in range(len(letters)) for word in self._from(letters, start)}

    def _from(self, letters: Sequence[str], start: int) -> list[str]:
        """Its words that begin at a letter, the shortest first."""
        ends = range(start + 2, min(start + self._longest, len(letters)) + 1)
        return [word for end in ends if (word := "".join(letters[start:end])) in self.words]


_LETTERS_ALONE = Lexicon()


def runs_of(texts: Iterable[str]) -> set[str]:
    """The runs of letters of scripts that have no blanks between words, from blank to blank."""
    return {word for text in texts for word in _spelled(text) if _RUN.match(word)}


def are_separated(texts: Iterable[str]) -> bool:
    """Whether blanks stand between words that are written without, as where a segmenter was at work before."""
    letters = runs = gaps = 0
    for text in texts:
        found = [word for word in _spelled(text) if _RUN.match(word)]
        runs += len(found)
        letters += sum(len(_LETTERS.findall(run)) for run in found)
        gaps += len(_GAP.findall(text)) if found else 0
    return 2 * gaps >= runs > 0 and letters <= SEPARATED * runs


class WantedWords:
    """The words that some texts may turn out to have: those between blanks and, of runs without any, every part.

    Whether a run has a part is told by pairs of neighbouring letters, so more are wanted than are there;
    `Lexicon.within` says which are.

    Args:
        names: texts whose words may be two written together.
    """

    def __init__(self, texts: Sequence[str], names: Sequence[str] = ()) -> None:
        self.runs = runs_of([*texts, *names])
        self._words = vocabulary(texts) | pieces(vocabulary(names))
        self._pairs = {first + second for run in self.runs for first, second in pairwise(_LETTERS.findall(run))}

    def __contains__(self, word: object) -> bool:
        if word in self._words:
            return True
        if not self._pairs or not isinstance(word, str) or not _RUN.fullmatch(word):
            return False
        pairs = [first + second for first, second in pairwise(_LETTERS.findall(word))]
        return len(pairs) > 0 and self._pairs.issuperset(pairs)

    def __len__(self) -> int:
        return len(self._words)


class Vocabulary:
    """Known words and their numbers from 0, in the order given.

    An unknown word that is two known ones written together, such as `diningtable`, counts as these; where there are
    several ways to part it, the one whose first word is longest.

    Args:
        words: the known ones.
        segmenter: what parts texts of its script, if not the known words.
    """

    def __init__(self, words: Iterable[str], segmenter: Segmenter | None = None) -> None:
        self._numbers = {word: number for number, word in enumerate(words)}
        lexicon = Lexicon(self._numbers)
        self._lexicon = segmenter.beside(lexicon) if segmenter else lexicon

    def words(self, text: str, limit: int | None = None) -> list[str]:
        """The first `limit` words of a text, parted by those that are known where it has no blanks."""
        return words_of(text, limit, self._lexicon)

    def read(self, text: str, limit: int | None = None) -> list[int]:
        """Numbers of a text's known words, in order, of its first `limit` words and at most so many."""
        return [number for word in self.words(text, limit) for number in self.numbers(word)][:limit]

    def longer(self, text: str, limit: int) -> bool:
        """Whether a text has more than `limit` words."""
        return len(self.words(text, limit + 1)) > limit

    def knows(self, word: str) -> bool:
        """Whether a word has a number of its own."""
        return word in self._numbers

    def number(self, word: str) -> int:
        """A word's own number; KeyError where it has none."""
        return self._numbers[word]

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
