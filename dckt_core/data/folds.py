"""Another split of a data set's labelled pairs, so that figures speak of more than the pairs that happen to be its test
split. No torch before it is needed.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import PairSet, Split

FOLDS = 5
"""In a deal, where nobody says."""
MIN_PICTURES = 3
"""Of a class, so that none is tested that was never learnt: one picture for each split."""


def folded(pair_set: PairSet, fold: int, folds: int) -> PairSet:
    """The data set with one of its folds as the test split, the next one as validation, and the others for training.

    All labelled pairs are dealt out, whatever their split was, class by class, so that each fold has as much of a class
    as any other, give or take one picture. What shows the same picture goes to the same split; an item alone whose
    picture is not for training any more goes, because its partner is not to be known. Whatever has no labelled pair of
    its picture stays where it is.

    Args:
        fold: which one, from 0. Beyond `folds` the pairs are dealt out anew: folds `folds` to `2 * folds - 1` are those
            of the second deal. A whole deal tests each pair once.
        folds: how many there are in a deal, 3 or more.

    Raises:
        DataError: a class has too few pictures for each split to have one.
    """
    import torch

    from dckt_core.base.rng import generator_for

    of_class: dict[str, dict[Path | None, None]] = {}
    for pair in pair_set.pairs:
        if pair.complete and pair.label is not None:
            of_class.setdefault(pair.label, {})[pair.image] = None
    deal, chosen = divmod(fold, folds)
    number: dict[Path | None, int] = {}
    for label in sorted(of_class):
        pictures = [picture for picture in of_class[label] if picture not in number]  # of several classes: the first
        if len(of_class[label]) < MIN_PICTURES:
            raise DataError(
                f"{pair_set.origin}: class '{label}' has {len(of_class[label])} of the {MIN_PICTURES} labelled "
                "pictures that folds need"
            )
        for row in torch.randperm(len(pictures), generator=generator_for(deal, f"folds of {label}")).tolist():
            number[pictures[row]] = len(number) % folds
    place: dict[int, Split] = {chosen: "test", (chosen + 1) % folds: "val"}
    pairs = []
    for pair in pair_set.pairs:
        split = place.get(number[pair.image], "train") if pair.image in number else pair.split
        if pair.complete or split == "train":
            pairs.append(pair if pair.split == split else replace(pair, split=split))
    return replace(pair_set, pairs=pairs)
