"""What is learnt from and tested on, found before a test tells of it. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dckt_core.contract.pairs import Pair, PairSet, Split
from dckt_core.data.findings import Finding, first
from dckt_core.data.sameness import text_name
from dckt_core.io.files import content_digest

HELD: tuple[Split, ...] = ("val", "test")
"""Splits that nothing is learnt from."""


def leaks(pair_set: PairSet) -> list[Finding]:
    """A finding for each of val and test some of whose pictures are among the training items', as a file or a copy of
    it.

    A figure on such pairs tells what was memorised.
    """
    return [
        _shared("shared pictures", split, found, pair_set, "picture that is in split 'train', too")
        for split in HELD
        if (found := seen(pair_set.split(split), pair_set.training))
    ]


def shared_texts(pair_set: PairSet) -> list[Finding]:
    """A finding for each of val and test some of whose texts are among the training items', word for word.

    Short texts are so by chance; where they are long, a figure tells what was memorised.
    """
    return [
        _shared("shared texts", split, found, pair_set, "text that is in split 'train', too", grave=False)
        for split in HELD
        if (found := read(pair_set.split(split), pair_set.training))
    ]


def leaks_from(source: PairSet, target: PairSet) -> list[Finding]:
    """A finding for each of the target's val and test some of whose pictures or texts the source is learnt from."""
    said = []
    for split in HELD:
        held = target.split(split)
        for what, found in (("picture", seen(held, source.training)), ("text", read(held, source.training))):
            if found:
                kind, rest = f"{what}s of the source", f"{what} that is learnt from in the source"
                said.append(_shared(kind, split, found, target, rest))
    return said


def _shared(
    kind: str, split: Split, found: Sequence[Pair], pair_set: PairSet, rest: str, *, grave: bool = True
) -> Finding:
    held = len(pair_set.split(split))
    advice = "figures on them tell what was memorised: leave them out on one side" if grave else ""
    what = f"{len(found)} of {held} {split} pairs have a {rest}"
    return Finding(kind, what, len(found), held, first(repr(pair.id) for pair in found), advice, grave)


def read(held: Sequence[Pair], training: Iterable[Pair]) -> list[Pair]:
    """The pairs whose text, if it has words at all, is one of the training items'."""
    learnt = {text_name(pair.text) for pair in training if pair.text is not None} - {""}
    return [pair for pair in held if pair.text is not None and text_name(pair.text) in learnt]


def seen(held: Sequence[Pair], training: Iterable[Pair]) -> list[Pair]:
    """The pairs whose picture is one of the training items', byte by byte.

    Only files of a size that occurs on both sides are read. A file that cannot be read equals no other; it is told of
    where it is decoded.
    """
    sizes = {pair.image: _size(pair.image) for pair in held if pair.image is not None}
    learnt: dict[int, set[Path]] = {}
    wanted = {size for size in sizes.values() if size is not None}
    for path in {pair.image for pair in training if pair.image is not None}:
        if (size := _size(path)) in wanted and size is not None:
            learnt.setdefault(size, set()).add(path)
    digests = {size: {_digest(path) for path in paths} - {None} for size, paths in learnt.items()}
    found = {path for path, size in sizes.items() if size in digests and _digest(path) in digests[size]}
    return [pair for pair in held if pair.image in found]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> bytes | None:
    try:
        return content_digest(path)
    except OSError:
        return None
