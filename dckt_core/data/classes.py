"""Reads `classes.toml`, which says what a data set's classes are called. No torch in here.

    dog = "dog"
    potted-plant = ["potted plant", "a plant in a pot"]

The format is stated in docs/data.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from dckt_core.base.errors import did_you_mean
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.io.text import check_inside, parse_toml, read_text, shown

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")

CLASSES_NAME = "classes.toml"

Names = dict[str, tuple[str, ...]]


def read_names(folder: Path, pairs: Sequence[Pair]) -> tuple[Names, list[str]]:
    """The names of classes by their labels, as a data set's folder has them, and everything that is wrong with them.

    Args:
        pairs: those of the data set. Where all that it has for training is labelled, a class that nothing there shows
            is a slip of the pen; otherwise it may be one that nobody has pointed out yet.
    """
    file = folder / CLASSES_NAME
    if not os.path.lexists(file):
        return {}, []
    try:
        check_inside(os.path.realpath(folder), CLASSES_NAME, "list")
        said = parse_toml(read_text(file))
    except ValueError as error:
        return {}, [str(error)]
    training = [pair for pair in pairs if pair.split == "train"]
    shown_ones = {pair.label for pair in training if pair.label is not None}
    complete = bool(training) and all(pair.label is not None for pair in training)
    names: Names = {}
    problems = []
    for label, value in said.items():
        try:
            check_line(label, "label")
            if complete and label not in shown_ones:
                raise ValueError(f"no training item is labelled so{did_you_mean(label, shown_ones)}")
            names[label] = _names(value)
        except ValueError as error:
            problems.append(f"class {shown(label)}: {error}")
    return names, problems + _shared(PairSet("", "", pairs, names))


def check_line(value: str, what: str) -> None:
    """Passes where a label, a name or an id is one line with something on it.

    Raises:
        ValueError: it is empty, has blanks at its ends or holds a control character.
    """
    if not value.strip():
        raise ValueError(f"{what} is empty")
    if value != value.strip():
        raise ValueError(f"{what} {shown(value)} has blanks at its ends")
    if _CONTROL.search(value):
        raise ValueError(f"{what} {shown(value)} holds a control character")


def _names(value: object) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("not a name or a list of names; a label with a dot needs quotes")
    if not names:
        raise ValueError("has no name")
    for name in names:
        check_line(name, "name")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"name {shown(twice)} is given twice")
    return tuple(names)


def _shared(pair_set: PairSet) -> list[str]:
    """A name says nothing where two classes have it, whether it was given or is the label itself."""
    owner: dict[str, str] = {}
    problems = []
    for label in pair_set.classes:
        for name in pair_set.names_of(label):
            other = owner.setdefault(name.casefold(), label)
            if other != label and not pair_set.names.keys().isdisjoint((label, other)):
                problems.append(f"class {shown(label)}: name {shown(name)} is that of class {shown(other)} too")
    return problems
