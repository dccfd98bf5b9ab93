"""The sample data set's texts: sentences drawn out of the phrases of `sample_words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_WORDS = tomllib.loads(resources.files("dckt_plugins.datasets").joinpath("sample_words.toml").read_text("utf-8"))
_PRINTED, _WRITTEN = _WORDS["printed"], _WORDS["written"]

CHARACTERS: tuple[str, ...] = tuple(_PRINTED["shapes"])
"""What the source shows, in order."""

DIGITS: tuple[str, ...] = tuple(digit["name"] for digit in _WRITTEN["digits"])
"""Classes of the target: the names of the digits from 0 to 9."""


def printed_text(character: str, style: str, split: str, draw: np.random.Generator) -> str:
    """A sentence about a printed letter or digit."""
    kind = "digit" if character.isdigit() else "letter"
    name = f"the {kind} {character}"
    shape = _one(_PRINTED["shapes"][character], draw)
    return _sentence(_one(_PRINTED["sentences"][split], draw), name=name, style=style, shape=shape)


def written_text(digit: int, ink: str, split: str, draw: np.random.Generator) -> str:
    """A sentence about a handwritten digit."""
    words, phrases = _WRITTEN["digits"][digit], _WRITTEN["phrases"][split]
    stroke = words["strokes"][_one(phrases, draw)]
    fact = words["facts"][_one(phrases, draw)]
    article = "an" if words["name"] == "eight" else "a"
    name = f"{article} {words['name']}"
    return _sentence(_one(_WRITTEN["sentences"][split], draw), name=name, ink=ink, stroke=stroke, fact=fact)


def _one(choices: Sequence[T], draw: np.random.Generator) -> T:
    return choices[int(draw.integers(len(choices)))]


def _sentence(template: str, **words: str) -> str:
    sentence = template.format(**words)
    return sentence[0].upper() + sentence[1:]
