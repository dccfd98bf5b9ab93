"""Everything that is wrong with a data set, not the first thing only. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.contract.pairs import Pair, PairSet, Split
from dckt_core.data.checks import check_source, check_target, doubts
from dckt_core.data.leaks import leaks, shared_texts
from dckt_core.data.manifest import ManifestError, Problem
from dckt_core.data.sameness import picture_names, text_name
from dckt_core.io.images import open_image

THREADS = 4


@dataclass(frozen=True)
class Inspection:
    """What a data set holds and what is wrong with it.

    Attributes:
        pair_set: the pairs that could be read.
        problems: each bad line, then each bad image file, with the reason.
        unfit: why it cannot serve in a role, by role (`source`, `target`); a role that it fits is not there.
        doubts: what is no error, but seldom meant.
        repeats: how many are empty, or equal to an earlier one: see `repeats`.
    """

    pair_set: PairSet
    problems: list[Problem]
    unfit: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    repeats: dict[str, int] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, dict[Split, int]]:
        """Pairs and lone items of each label in each split, labels sorted."""
        counts = Counter((pair.label, pair.split) for pair in self.pair_set.pairs if pair.label is not None)
        labels = sorted({label for label, _ in counts})
        return {label: {split: n for (found, split), n in counts.items() if found == label} for label in labels}


def inspect_dataset(
    load: Callable[[], PairSet], location: Path, progress: Progress = silent, *, pictures: bool = True
) -> Inspection:
    """Reads a data set and decodes every image of it.

    Args:
        load: reads the pairs. Where it raises `ManifestError`, the good lines are looked into all the same; of any
            other `DataError` the text is the one problem found.
        location: where the data set lies.
        pictures: False for one whose features come from files: no image is looked for.
    """
    try:
        pair_set, problems = load(), []
    except ManifestError as error:
        pair_set, problems = error.good, list(error.problems)
    except DataError as error:
        return Inspection(PairSet(location.name, str(location), []), [_problem(location, error)])
    if pictures:
        problems += bad_images(images_of(pair_set.pairs), progress)
    unfit = {}
    for role, check in (("source", check_source), ("target", check_target)):
        try:
            check(pair_set)
        except DataError as error:
            unfit[role] = str(error).removeprefix(f"{role} data set {pair_set.origin}: ")
    return Inspection(
        pair_set,
        problems,
        unfit,
        [*doubts(pair_set), *leaks(pair_set), *shared_texts(pair_set)],
        repeats(pair_set.pairs),
    )


def repeats(pairs: Sequence[Pair]) -> dict[str, int]:
    """How many texts are `empty texts`; `equal texts` and `equal pictures`, those that an earlier item has, too.

    Texts are equal but for white space and Unicode's ways to write a letter, pictures by file or by bytes.
    """
    texts = [text_name(pair.text) for pair in pairs if pair.text is not None]
    images = [pair.image for pair in pairs if pair.image is not None]
    names, words = picture_names(images), [text for text in texts if text]
    return {
        "empty texts": len(texts) - len(words),
        "equal texts": len(words) - len(set(words)),
        "equal pictures": len(images) - len({names[path] for path in images}),
    }


def images_of(pairs: Iterable[Pair]) -> list[Path]:
    """The image files of some pairs, each once, in their order."""
    return list(dict.fromkeys(pair.image for pair in pairs if pair.image is not None))


def bad_images(paths: Sequence[Path], progress: Progress = silent) -> list[Problem]:
    """Decodes every image once, in threads; the problems of those that cannot be used, in the order of the paths."""
    problems = []
    with ThreadPoolExecutor(THREADS) as pool:
        for done, problem in enumerate(pool.map(_bad_image, paths), start=1):
            if problem:
                problems.append(problem)
            progress(done, len(paths), "decoding images")
    return problems


def _bad_image(path: Path) -> Problem | None:
    try:
        open_image(path)
    except DataError as error:
        return _problem(path, error)
    return None


def _problem(file: Path, error: DataError) -> Problem:
    return Problem(file, None, str(error).removeprefix(f"{file}: "))
