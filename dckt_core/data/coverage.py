"""How many of the texts' words an encoder that goes by words has vectors for: what it does not know, nothing learns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

from dckt_core.base.progress import logger

FEW = 0.6
"""Share of known words below which a warning is due."""

ENOUGH = 50_000
"""Words of texts from which the meaning of words can be learnt."""

ADVICE = "of the others nothing is learnt: do texts and vectors share their language?"

Words = Callable[[str], Sequence[tuple[str, bool]]]
"""`Encoder.words`: each word of a text, and whether it has a vector."""


@dataclass(frozen=True)
class Coverage:
    """Of some texts.

    Attributes:
        words: how many words they have, each as often as it occurs.
        known: how many of these have a vector.
    """

    words: int
    known: int

    @property
    def share(self) -> float:
        """Of the words, those that are known, in [0, 1]; 1 where there are no words."""
        return self.known / self.words if self.words else 1.0

    def __str__(self) -> str:
        return f"{self.share:.1%} of {self.words:,}" if self.words else "no words"

    def as_json(self) -> dict[str, int]:
        return asdict(self)


def cover(words: Words, texts: Iterable[str]) -> Coverage:
    """Counts the words of some texts, and those of them that have a vector."""
    total = known = 0
    for text in texts:
        found = words(text)
        total += len(found)
        known += sum(has for _, has in found)
    return Coverage(total, known)


def unknown_words(words: Words, text: str) -> tuple[str, ...]:
    """The words of a text that have no vector, each once, in order."""
    return tuple(dict.fromkeys(word for word, known in words(text) if not known))


def tell(what: str, parts: Mapping[str, Coverage]) -> None:
    """Says in one line how many words have vectors; a warning where they are few, or there is none.

    Args:
        what: whose texts they are.
        parts: of each part of these, by its name; a name may be empty where there is one.
    """
    told = ", ".join(f"{name} {coverage}".strip() for name, coverage in parts.items())
    line = f"{what}: words of the texts that have vectors: {told}"
    if any(coverage.share < FEW for coverage in parts.values()):
        logger.warning("%s; %s", line, ADVICE)
    elif parts and not any(coverage.words for coverage in parts.values()):
        logger.warning("%s", line)
    else:
        logger.info("%s", line)


def recommend_vectors(what: str, words: int) -> None:
    """Says that words learnt from so few are worth little, where they are fewer than `ENOUGH`.

    Args:
        what: whose texts they are.
    """
    if words < ENOUGH:
        logger.info(
            "%s: its training texts have %s words, few to learn what words mean: pretrained vectors do better "
            "(--text-encoder-opt vectors=FILE; docs/encoders.md says which)",
            what,
            f"{words:,}",
        )
