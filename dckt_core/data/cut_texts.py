"""How many texts are longer than what an encoder reads of them: what stands behind that, nothing sees."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dckt_core.base.progress import logger

Cut = Callable[[str], bool]
"""`Encoder.cut`: whether a text is longer than what the encoder reads."""


def count_cut(cut: Cut, texts: Iterable[str]) -> int:
    """How many of some texts are cut."""
    return sum(map(cut, texts))


def tell_cut(what: str, count: int, total: int) -> None:
    """Warns where some of `total` texts are cut; `what` says whose they are."""
    if count:
        logger.warning("%s: %d of %d texts are longer than the text encoder reads, and cut", what, count, total)
