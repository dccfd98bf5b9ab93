"""What a training may know: all that there is, or less of it, to see what each thing is worth.

Nothing that is withheld is looked at, but that the few labels of a class are drawn among its own items. No torch before
it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dckt_core.config import Config, OfferConfig
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.folds import FOLDS, folded

Kept = Mapping[int, Pair]
"""Training items by their row in the data set."""


def offered(pair_set: PairSet, config: Config) -> PairSet:
    """The target's data set, split as `config.offer` says, with no more to learn from and to choose by than it and
    `config.shots` allow.

    The test split is left alone, and what stays does so in manifest order. A class that no label tells of any more is
    still known by its names, unless these are withheld too.

    Raises:
        DataError: as `folds.folded`.
    """
    offer = config.offer
    if config.shots is None and offer == OfferConfig():
        return pair_set
    if offer.fold is not None:
        pair_set = folded(pair_set, offer.fold, offer.folds or FOLDS)
    kept: Kept = {}
    if offer.train_items == "all":
        kept = {row: pair for row, pair in enumerate(pair_set.pairs) if pair.split == "train"}
    if config.shots is not None:
        kept = _few_labels(kept, config.shots, config.seed, drop=offer.rest == "dropped")
    elif offer.labels == "none":
        kept = {row: replace(pair, label=None) for row, pair in kept.items()}
    if offer.pairing == "broken":
        kept = _broken(kept, config.seed)
    pairs = [kept.get(row, pair) for row, pair in enumerate(pair_set.pairs) if pair.split != "train" or row in kept]
    if offer.validation != "labelled":
        pairs = [replace(pair, label=None) if pair.split == "val" else pair for pair in pairs]
    if offer.validation == "none":
        pairs = [pair for pair in pairs if pair.split != "val"]
    shown = {pair.label for pair in kept.values() if pair.label is not None}
    names: dict[str, tuple[str, ...]] = dict.fromkeys(sorted(shown), ())
    if offer.class_names:
        names = {label: pair_set.names_of(label) for label in pair_set.classes if label not in shown}
        names = {**pair_set.names, **names}
    return replace(pair_set, pairs=pairs, names=names)


def offered_source(pair_set: PairSet, config: Config) -> PairSet:
    """The source's data set, or nothing of it."""
    return pair_set if config.offer.source_items == "all" else replace(pair_set, pairs=[], names={})


def _few_labels(kept: Kept, shots: int, seed: int, *, drop: bool) -> Kept:
    """Labels for at most `shots` items a class; the others lose theirs, or are dropped.

    Each class is put into a random order by a generator of its own, and its first `shots` items are taken. So draws
    of one seed are nested (5 shots are among the 10), and another class or its size changes nothing. A class that
    has fewer keeps all.
    """
    import torch

    from dckt_core.base.rng import generator_for

    of_class: dict[str, list[int]] = {}
    for row, pair in kept.items():
        if pair.label is not None:
            of_class.setdefault(pair.label, []).append(row)
    drawn: set[int] = set()
    for label, rows in of_class.items():
        order = torch.randperm(len(rows), generator=generator_for(seed, f"shots of {label}"))
        drawn |= {rows[number] for number in order[:shots].tolist()}
    if drop:
        return {row: pair for row, pair in kept.items() if row in drawn}
    return {row: pair if row in drawn else replace(pair, label=None) for row, pair in kept.items()}


def _broken(kept: Kept, seed: int) -> Kept:
    """Of a random half of the pairs the image alone, of the others the text alone: nobody's partner is there."""
    import torch

    from dckt_core.base.rng import generator_for

    rows = [row for row, pair in kept.items() if pair.complete]
    order = torch.randperm(len(rows), generator=generator_for(seed, "broken pairs")).tolist()
    images = {rows[number] for number in order[: len(rows) // 2]}
    alone = {
        row: replace(kept[row], text=None, captions=()) if row in images else replace(kept[row], image=None)
        for row in rows
    }
    return {row: alone.get(row, pair) for row, pair in kept.items()}
