"""What is kept of a file of word vectors, whatever its format."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dckt_core import logger, shown
from dckt_plugins.encoders.words import fold

Row = npt.NDArray[np.float32]

MAX_SIZE = 16_384
"""Values of a vector, at most: four times the longest that are published. It bounds a row of a file that lies."""

MAX_WORD_BYTES = 1 << 16
"""A longer word of a binary file is none."""

BLOCK = 1 << 20
"""Bytes that are read at a time."""


class Wanted(Protocol):
    """A set of words, as `fold` spells them, or what says of each whether it is one."""

    def __contains__(self, word: object, /) -> bool: ...

    def __len__(self) -> int: ...


class Kept:
    """The rows that were wanted, and counts of what was met besides.

    Attributes:
        vectors: by word, as `fold` spells it, each [d].
        skipped: how many words were left out, by the reason.
        rows: how many words the file has.
        claimed: how many it says that it has; None where it says nothing.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._spelled: dict[str, str] = {}
        self.vectors: dict[str, Row] = {}
        self.skipped: Counter[str] = Counter()
        self.rows = 0
        self.claimed: int | None = None

    def offer(self, word: bytes) -> str | None:
        """Under which word its vector is to be put; None where it is not to be."""
        self.rows += 1
        try:
            spelled = word.decode()
        except UnicodeDecodeError:
            self.skipped["not UTF-8"] += 1
            return None
        folded = spelled.lower() if spelled.isascii() else fold(spelled)
        if folded not in self._wanted:
            if not spelled:
                self.skipped["empty"] += 1
            return None
        before = self._spelled.setdefault(folded, spelled)
        if folded in self.vectors:
            if before == spelled:
                self.skipped["not the first of their spelling"] += 1
            if before == folded or spelled != folded:
                return None
            self._spelled[folded] = spelled
        return folded

    def put(self, word: str, vector: Row) -> None:
        """The vector [d] of a word that `offer` gave.

        Raises:
            ValueError: it holds numbers that are not finite.
        """
        if not np.isfinite(vector).all():
            raise ValueError(f"the vector of {shown(word)} holds numbers that are not finite")
        self.vectors[word] = vector

    def tell(self, file: str) -> None:
        """Says in a line what was odd; nothing where nothing was."""
        told = [f"{count:,} skipped: {why}" for why, count in self.skipped.items()]
        if self.claimed is not None and self.claimed != self.rows:
            told.append(f"its header says {self.claimed:,}")
        if told:
            logger.warning("%s: %s words; %s", file, f"{self.rows:,}", "; ".join(told))
