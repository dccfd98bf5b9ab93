"""Everything that is wrong with a data set, not the first thing only. No torch in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dckt_core.base.errors import DataError
from dckt_core.base.progress import Progress, silent
from dckt_core.contract.pairs import SPLITS, Pair, PairSet, Split
from dckt_core.data.checks import check_source, check_target
from dckt_core.data.faults import Problem
from dckt_core.data.findings import Finding
from dckt_core.data.health import examine
from dckt_core.data.manifest import ManifestError
from dckt_core.data.sights import look_at, of_pictures


@dataclass(frozen=True)
class Inspection:
    """What a data set holds and what is wrong with it.

    Attributes:
        pair_set: the pairs that could be read.
        problems: each bad line, then each bad image file, with the reason.
        unfit: why it cannot serve in a role, by role (`source`, `target`); a role that it fits is not there.
        findings: what is no error, but seldom meant; see `health.py`.
    """

    pair_set: PairSet
    problems: list[Problem]
    unfit: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

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
    findings = examine(pair_set, pictures=pictures)
    if pictures:
        seen = look_at(images_of(pair_set.pairs), progress)
        problems += seen.problems
        findings += of_pictures(seen, pair_set, SPLITS)
    unfit = {}
    for role, check in (("source", check_source), ("target", check_target)):
        try:
            check(pair_set)
        except DataError as error:
            unfit[role] = str(error).removeprefix(f"{role} data set {pair_set.origin}: ")
    return Inspection(pair_set, problems, unfit, findings)


def images_of(pairs: Iterable[Pair]) -> list[Path]:
    """The image files of some pairs, each once, in their order."""
    return list(dict.fromkeys(pair.image for pair in pairs if pair.image is not None))


def _problem(file: Path, error: DataError) -> Problem:
    return Problem(file, None, str(error).removeprefix(f"{file}: "))
