"""Whether two data sets can be trained and scored on at all, found out before anything long begins."""

from __future__ import annotations

from collections.abc import Sequence

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Pair, PairSet, Split

MIN_PAIRS = 2
"""Of one pair there are no batch statistics and no ranking."""
MIN_CLASSES = 2


def check_trainable(source: PairSet, target: PairSet) -> None:
    """Passes where source and target can be trained on and the target scored.

    The label spaces of source and target need not have anything in common.

    Raises:
        DataError: one line that names the data set, the split and the label.
    """
    check_source(source)
    check_target(target)


def check_source(source: PairSet) -> None:
    """A source needs a train split. Its other splits are not used, so nothing is asked of them."""
    _check_train("source", source)


def check_target(target: PairSet) -> None:
    """A target needs all three splits: choices are made on val, the outcome is scored on test.

    Every label of val and test must be in train, because a class that was never learnt has no place in the
    representation.
    """
    _check_train("target", target)
    splits: tuple[Split, ...] = ("val", "test")
    for name in splits:
        for pair in _split("target", target, name):
            if pair.label not in target.classes:
                raise DataError(
                    f"target data set {target.origin}: label '{pair.label}' is in split '{name}' (pair '{pair.id}')"
                    " but not in split 'train'"
                )


def _check_train(role: str, pair_set: PairSet) -> None:
    found = f"{role} data set {pair_set.origin}: split 'train' has one"
    if len(_split(role, pair_set, "train")) < MIN_PAIRS:
        raise DataError(f"{found} pair; at least {MIN_PAIRS} are needed")
    if len(pair_set.classes) < MIN_CLASSES:
        raise DataError(f"{found} class, '{pair_set.classes[0]}'; at least {MIN_CLASSES} are needed")


def _split(role: str, pair_set: PairSet, name: Split) -> Sequence[Pair]:
    pairs = pair_set.split(name)
    if not pairs:
        raise DataError(f"{role} data set {pair_set.origin}: split '{name}' is empty")
    return pairs
