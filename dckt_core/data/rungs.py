"""The ladder: how much a target offers, from nothing to every label. No torch in here."""

from __future__ import annotations

from collections import Counter

from dckt_core.contract.pairs import Pair, PairSet, Split
from dckt_core.data.checks import MIN_CLASSES, MIN_PAIRS

RUNGS = (
    "nothing but the source",
    "images, and texts of other pairs",
    "pairs without labels",
    "pairs without labels, and class names",
    "some labels, the rest without",
    "all labels",
)
"""What a target offers on each rung; each allows what those before it do."""

MIN_ALONE = 64
"""Images alone, and texts alone, from which on they can be matched: of fewer what they have in common is noise."""

MIN_NAMED = 8
"""Pairs from which on it can be judged whether the classes' names say anything about them."""

HOLDINGS = ("labelled pairs", "unlabelled pairs", "images alone", "texts alone")
NAMES = "class names"


def holdings(pair_set: PairSet) -> dict[str, dict[Split, int]]:
    """How many a data set has of each of `HOLDINGS`, by split; splits with none of them are left out."""
    counts = Counter((_kind(pair), pair.split) for pair in pair_set.pairs)
    return {kind: {split: n for (found, split), n in counts.items() if found == kind} for kind in HOLDINGS}


def training_holdings(pair_set: PairSet) -> dict[str, int]:
    """How many a data set has of each of `HOLDINGS` for training, and of how many classes it knows names."""
    named = sum(bool(pair_set.names_of(label)) for label in pair_set.classes)
    return {kind: counts.get("train", 0) for kind, counts in holdings(pair_set).items()} | {NAMES: named}


def rung_of(pair_set: PairSet) -> int:
    """The highest rung that a target allows, a number of `RUNGS`, by what it has for training."""
    train = {kind: counts.get("train", 0) for kind, counts in holdings(pair_set).items()}
    labels = {pair.label for pair in pair_set.training if pair.label is not None}
    pairs = sum(train[kind] for kind in ("labelled pairs", "unlabelled pairs"))
    if pairs >= MIN_PAIRS:
        if len(labels) >= MIN_CLASSES:
            return 5 if train["labelled pairs"] == len(pair_set.training) else 4
        named = [label for label in pair_set.classes if pair_set.names_of(label)]
        return 3 if len(named) >= MIN_CLASSES and pairs >= MIN_NAMED else 2
    return 1 if min(train["images alone"], train["texts alone"]) >= MIN_ALONE else 0


def _kind(pair: Pair) -> str:
    if pair.complete:
        return HOLDINGS[pair.label is None]
    return HOLDINGS[2] if pair.text is None else HOLDINGS[3]
