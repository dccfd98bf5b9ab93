"""Where words begin in scripts that have no blanks between them: by a library that knows a language, if one is chosen.

A library parts the runs of its own script; all others are parted by the longest match, as without one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from dckt_plugins.extras import need

Segmentation = Literal["longest", "jieba", "pythainlp"]
"""`longest`: the longest words that the vectors have; `jieba`: Chinese; `pythainlp`: Thai."""

_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_THAI = re.compile("[\u0e00-\u0e7f]+")


class Splits(Protocol):
    """What parts a run of letters."""

    def split(self, run: str, /) -> list[str]:
        """The words of a run of letters, which they make up when they are put together."""
        ...


@dataclass(frozen=True)
class Segmenter:
    """A library that parts runs of one script.

    Attributes:
        name: with the library's version, for fingerprints.
        script: the whole of a run that it parts.
        cut: parts it.
    """

    name: str
    script: re.Pattern[str]
    cut: Callable[[str], list[str]]

    def beside(self, others: Splits) -> Splits:
        """This for its own script, `others` for all else."""
        return _Beside(self, others)


@dataclass(frozen=True)
class _Beside:
    segmenter: Segmenter
    others: Splits

    def split(self, run: str) -> list[str]:
        if not self.segmenter.script.fullmatch(run):
            return self.others.split(run)
        words = [word for word in self.segmenter.cut(run) if word]
        return words if "".join(words) == run else self.others.split(run)


def segmenter_of(name: Segmentation, encoder: str) -> Segmenter | None:
    """The segmenter of that name; None for the longest match.

    Raises:
        UsageError: its library is not installed.
    """
    return None if name == "longest" else _SEGMENTERS[name](f"encoder '{encoder}' with segmenter '{name}'")


def _jieba(of: str) -> Segmenter:
    jieba = need("jieba", of=of, extra="chinese")
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # As `initialize` does, but for a file in the folder of temporary files, which anybody may have put there.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return Segmenter(f"jieba-{importlib.metadata.version('jieba')}", _HAN, tokenizer.lcut)


def _pythainlp(of: str) -> Segmenter:
    tokenize = need("pythainlp.tokenize", of=of, extra="thai")
    version = importlib.metadata.version("pythainlp")
    return Segmenter(f"pythainlp-{version}", _THAI, lambda run: tokenize.word_tokenize(run, engine="newmm"))


_SEGMENTERS: dict[str, Callable[[str], Segmenter]] = {"jieba": _jieba, "pythainlp": _pythainlp}
