"""Looks through a data set before a run begins: what is bad in it ends the run, or is dropped and told of.

What is dropped depends on the files alone, so that the same data give the same pairs each time. A pair is dropped
whole, and no other one takes its place. No torch in here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import Pair, PairSet, Split
from dckt_core.data.faults import Problem
from dckt_core.data.findings import Finding
from dckt_core.data.inspection import images_of
from dckt_core.data.manifest import ManifestError
from dckt_core.data.sights import digests, sights

OnError = Literal["fail", "skip"]
PERCENT = 100


@dataclass(frozen=True)
class Dropped:
    """A bad line, or a pair whose image is bad."""

    problem: Problem
    pair: str | None = None

    def as_json(self) -> dict[str, Any]:
        problem = self.problem
        return {"pair": self.pair, "file": str(problem.file), "line": problem.line, "reason": problem.reason}


@dataclass(frozen=True)
class Screened:
    """The good pairs of a data set, what was found of them, and what was dropped: bad lines, then pairs with bad
    images, in manifest order.
    """

    pair_set: PairSet
    dropped: tuple[Dropped, ...] = ()
    findings: tuple[Finding, ...] = ()


def screen(
    load: Callable[[], PairSet],
    *,
    splits: Sequence[Split],
    on_error: OnError,
    max_bad_fraction: float,
    cache_dir: Path,
    progress: Progress = silent,
    pictures: bool = True,
) -> Screened:
    """Reads a data set and deals with what is bad in it.

    Args:
        load: reads the pairs; raises `ManifestError` for bad lines.
        splits: those that are used; images of others are not looked at.
        on_error: `skip` opens all images and drops bad lines and pairs whose image cannot be opened. `fail` raises
            the first bad line; of an image it is told when the image is needed, or by `refuse_bad_images`.
        max_bad_fraction: share of the data set's pairs that may be dropped, in [0, 1].
        cache_dir: keeps the verdict on images, by their content, for the next run.
        pictures: False where nobody will look at them, so that none is opened.

    Raises:
        DataError: a line is bad under `fail`, or more than `max_bad_fraction` is under `skip`.
    """
    skip = on_error == "skip"
    lines: list[Problem] = []
    try:
        pair_set = load()
    except ManifestError as error:
        cut = next((problem for problem in error.problems if problem.cut), None)
        if skip and cut is not None:  # a share of what nobody has counted is none
            raise DataError(f"{cut}; on_error = skip leaves out lines, and not the rest of a file") from None
        if not skip or any(problem.line is None for problem in error.problems):
            raise
        pair_set, lines = error.good, error.problems
    used = [pair for pair in pair_set.pairs if pair.split in splits]
    bad = image_problems(used, cache_dir=cache_dir, progress=progress) if skip and pictures else {}
    dropped = [Dropped(problem) for problem in lines]
    dropped += [Dropped(bad[pair.image], pair.id) for pair in used if pair.image is not None and pair.image in bad]
    if not dropped:
        return Screened(pair_set)
    total = len(pair_set.pairs) + len(lines)
    found = f"{pair_set.origin}: {len(dropped)} of {total} pairs are bad ({PERCENT * len(dropped) / total:.2g} %)"
    if len(dropped) > max_bad_fraction * total:
        raise DataError(
            f"{found}, more than max_bad_fraction = {max_bad_fraction:g} allows; first {dropped[0].problem}"
        )
    logger.warning("%s and dropped; first %s", found, dropped[0].problem)
    good = [pair for pair in pair_set.pairs if pair.split not in splits or pair.image not in bad]
    return Screened(replace(pair_set, pairs=good), tuple(dropped))


def refuse_bad_images(
    pair_set: PairSet, splits: Sequence[Split], *, cache_dir: Path, progress: Progress = silent
) -> None:
    """Opens the images of some splits before a training that would come to them hours later.

    Raises:
        DataError: one cannot be opened; it is named, and the others counted.
    """
    used = [pair for pair in pair_set.pairs if pair.split in splits]
    bad = list(image_problems(used, cache_dir=cache_dir, progress=progress).values())
    if bad:
        more = f" (and {len(bad) - 1} more: dckt datasets check {pair_set.origin})" if len(bad) > 1 else ""
        raise DataError(f"{bad[0]}{more}")


def image_problems(pairs: Sequence[Pair], *, cache_dir: Path, progress: Progress = silent) -> dict[Path, Problem]:
    """The problem of each image that cannot be opened, in manifest order; every image is opened once.

    The verdict is kept in the cache under the content of all images, so the next run reads the files and decodes none.
    """
    seen = sights(images_of(pairs), cache_dir=cache_dir, progress=progress)
    return {problem.file: problem for problem in seen.problems}


def pairs_digest(pair_set: PairSet) -> str:
    """Names pairs by what is said of them and of their classes; 64 hexadecimal digits. A resumed run must find the
    same ones.
    """
    said: list[object] = [[pair.id, pair.text, pair.label, pair.split] for pair in pair_set.pairs]
    if pair_set.names:
        said.append(sorted(pair_set.names.items()))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def images_digest(pairs: Sequence[Pair]) -> str:
    """Names the content of the images of some pairs; 64 hexadecimal digits. A resumed run must find the same."""
    return hashlib.sha256(b"".join(digests(images_of(pairs)))).hexdigest()
