"""Whether two data sets can be trained and scored on at all, found out before anything long begins. No torch here."""

from __future__ import annotations

from dckt_core.base.errors import DataError, NothingToLearnError
from dckt_core.contract.pairs import MEDIA, PairSet

MIN_PAIRS = 2
"""Of one pair there are no batch statistics and no ranking."""
MIN_CLASSES = 2


def check_trainable(source: PairSet | None, target: PairSet, *, scored: bool = True) -> None:
    """Passes where there is something to learn from the source, and the target can be scored, if it is to be.

    The label spaces of source and target need not have anything in common. A source that is withheld is None.

    Raises:
        NothingToLearnError: as `check_something_to_learn`.
        DataError: one line that names the data set, the split and the label.
    """
    if source is not None:
        check_source(source)
    check_target(target, scored=scored)
    check_something_to_learn(source, target)


def check_something_to_learn(source: PairSet | None, target: PairSet) -> None:
    """Passes where anything says which images and texts belong together: pairs of either domain, or classes of both
    media of the target.

    Raises:
        NothingToLearnError: nothing does.
    """
    if (source is not None and source.split("train")) or target.split("train"):
        return
    classes = {medium: {pair.label for pair in target.lone(medium) if pair.label is not None} for medium in MEDIA}
    classes["text"] |= {label for label in target.classes if target.names_of(label)}
    if len(classes["image"] & classes["text"]) >= MIN_CLASSES:
        return
    withheld = "the source is withheld, and " if source is None else ""
    raise NothingToLearnError(
        f"target data set {target.origin}: nothing says which images and texts belong together: {withheld}the target "
        "offers no pair for training and no classes of its images"
    )


def check_source(source: PairSet) -> None:
    """A source needs training pairs, with a label or without. Nothing is asked of its other splits."""
    if not source.training:
        raise DataError(f"source data set {source.origin}: split 'train' is empty")
    _check_count("source", source, len(source.split("train")), "pair")
    _check_classes("source", source)


def check_target(target: PairSet, *, scored: bool = True) -> None:
    """A target needs test pairs, on which the outcome is scored, unless it is not.

    Its other splits may be empty: then nothing is learnt from it, and nothing chosen by it. Where all that it has for
    training is labelled, the labels of val and test must be among those, because a class that was never learnt has no
    place in the representation. Otherwise classes may be learnt that nobody has named, and nothing is asked.
    """
    if scored and not target.split("test"):
        raise DataError(f"target data set {target.origin}: split 'test' is empty")
    if not target.training:
        return
    _check_count("target", target, len(target.training), "pair" if target.training[0].complete else "item")
    _check_classes("target", target)
    if any(pair.label is None for pair in target.training):
        return
    for pair in target.pairs:
        if pair.label is not None and pair.label not in target.classes:
            raise DataError(
                f"target data set {target.origin}: label '{pair.label}' is in split '{pair.split}' (pair '{pair.id}')"
                " but not in split 'train'"
            )


def check_networks(source: PairSet, target: PairSet) -> None:
    """Passes where the method's networks can be trained: they learn from labelled pairs of both domains, and the best
    of them is chosen by validation pairs of the target, with labels or, by who finds whose partner, without.

    Raises:
        DataError: one line that says what is missing and where.
    """
    for role, pair_set in (("source", source), ("target", target)):
        pairs = pair_set.labelled("train")
        classes = {pair.label for pair in pairs}
        if len(pairs) < MIN_PAIRS or len(classes) < MIN_CLASSES:
            raise DataError(
                f"{role} data set {pair_set.origin}: the networks need {MIN_PAIRS} labelled training pairs of "
                f"{MIN_CLASSES} classes, and it has {len(pairs)} of {len(classes)}"
            )
    held_out = len(target.split("val"))
    if held_out < MIN_PAIRS:
        raise DataError(
            f"target data set {target.origin}: the networks need {MIN_PAIRS} pairs in split 'val' to be chosen by, "
            f"with labels or without, and it has {held_out}"
        )


def _check_count(role: str, pair_set: PairSet, count: int, noun: str) -> None:
    if count < MIN_PAIRS:
        found = "one" if count else "no"
        raise DataError(
            f"{role} data set {pair_set.origin}: split 'train' has {found} {noun}; at least {MIN_PAIRS} are needed"
        )


def _check_classes(role: str, pair_set: PairSet) -> None:
    """Where everything is labelled there must be something to tell apart."""
    if all(pair.label is not None for pair in pair_set.training) and len(pair_set.classes) < MIN_CLASSES:
        raise DataError(
            f"{role} data set {pair_set.origin}: split 'train' has one class, '{pair_set.classes[0]}'; "
            f"at least {MIN_CLASSES} are needed"
        )
