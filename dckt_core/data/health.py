"""The health of data: what `dckt datasets check`, a training, an index and a run's page say of them.

What can be told from pairs and files alone is here; `sights.py` has what pictures must be decoded for, `row_health.py`
what features tell. No torch in here.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from dckt_core.base.progress import logger
from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.findings import Finding, first
from dckt_core.data.leaks import leaks, shared_texts
from dckt_core.data.sameness import picture_names, text_name

MOST = 0.9
"""Share of the labelled items from which on a class leaves too little to the others."""
NAMING = 0.1
"""Share of the labelled texts from which on it is said that they name their class."""


def examine(pair_set: PairSet, *, pictures: bool = True) -> list[Finding]:
    """All that is found in one data set without decoding a picture.

    Args:
        pictures: False where features come from files, so that no picture need be there.
    """
    return [*of_labels(pair_set), *of_contents(pair_set, pictures=pictures)]


def of_contents(pair_set: PairSet, *, pictures: bool = True) -> list[Finding]:
    """As `examine`, without a look at which labels there are."""
    names = picture_names(pair.image for pair in pair_set.pairs if pair.image is not None) if pictures else {}
    return [
        *repeats(pair_set.pairs, names),
        *contradictions(pair_set, names),
        *naming(pair_set),
        *(leaks(pair_set) if pictures else []),
        *shared_texts(pair_set),
    ]


def tell(origin: str, findings: Iterable[Finding]) -> None:
    """A line of the log for each finding; a warning where it is grave."""
    for finding in findings:
        logger.log(logging.WARNING if finding.grave else logging.INFO, "%s: %s", origin, finding)


def repeats(pairs: Sequence[Pair], names: dict[Path, Hashable]) -> Iterator[Finding]:
    """What is empty, and what is equal to an earlier one.

    Texts are equal but for white space and Unicode's ways to write a letter, pictures by file or by bytes.

    Args:
        names: what pictures of equal bytes share, as `picture_names` gives it; empty where there are none.
    """
    texts = [(pair.id, text_name(pair.text)) for pair in pairs if pair.text is not None]
    empty = [key for key, text in texts if not text]
    if empty:
        yield Finding("empty texts", f"{len(empty)} of {len(texts)} texts are empty", *_counted(empty, texts))
    again = _again((key, text) for key, text in texts if text)
    if again:
        what = f"{len(again)} of {len(texts)} texts are equal to an earlier one"
        yield Finding("equal texts", what, *_counted(again, texts), grave=False)
    seen = [(pair.id, _picture(pair, names)) for pair in pairs if pair.image is not None] if names else []
    again = _again(seen)
    if again:
        what = f"{len(again)} of {len(seen)} pictures are equal to an earlier one"
        yield Finding("equal pictures", what, *_counted(again, seen), grave=False)
    complete = [pair for pair in pairs if pair.complete] if names else []
    whole = [(pair.id, (_picture(pair, names), text_name(pair.text or ""))) for pair in complete]
    again = _again(whole)
    if again:
        every = len(whole) == 2 * len(again) and len({what for _, what in whole}) == len(again)
        yield Finding(
            "pairs twice",
            "every pair is there twice" if every else f"{len(again)} of {len(whole)} pairs are equal to an earlier one",
            *_counted(again, whole),
            advice="each counts as often as it is there, in learning and in scores: leave the others out",
        )


def of_labels(pair_set: PairSet) -> Iterator[Finding]:
    """Labels that differ in their spelling alone, classes of one item, a class that has nearly all."""
    labels = pair_set.label_space
    spelt: dict[str, str] = {}
    for label in labels:
        twin = spelt.setdefault(re.sub(r"[\s_-]+", "", label.casefold()), label)
        if twin != label:
            yield Finding(
                "labels spelt alike",
                f"labels '{twin}' and '{label}' differ by case, blanks or hyphens alone, and are two classes",
                *(2, len(labels)),
                advice="write them alike where they mean one class",
            )
    counts = Counter(pair.label for pair in pair_set.training if pair.label is not None)
    single = sorted(label for label, count in counts.items() if count == 1)
    if single and len(counts) > 1:
        was = "class has" if len(single) == 1 else "classes have"
        yield Finding(
            "classes of one",
            f"{len(single)} of {len(counts)} {was} a single labelled training item",
            *(len(single), len(counts)),
            first(map(repr, single)),
            "nothing tells what its items have in common: join it to another class, or find more of it",
        )
    for label, count in counts.most_common(1):
        if len(counts) > 1 and count >= MOST * counts.total():
            what = f"class '{label}' has {count} of {counts.total()} labelled training items"
            yield Finding("one large class", what, count, counts.total())


def contradictions(pair_set: PairSet, names: dict[Path, Hashable]) -> Iterator[Finding]:
    """Pictures, by their bytes, that are there under two labels."""
    labels: dict[Hashable, set[str]] = {}
    ids: dict[Hashable, str] = {}
    for pair in pair_set.pairs:
        if pair.image is not None and pair.label is not None and names:
            name = _picture(pair, names)
            labels.setdefault(name, set()).add(pair.label)
            ids.setdefault(name, pair.id)
    torn = [name for name, found in labels.items() if len(found) > 1]
    if torn:
        was = "picture has" if len(torn) == 1 else "pictures have"
        yield Finding(
            "two labels",
            f"{len(torn)} of {len(labels)} {was} more than one label",
            *(len(torn), len(labels)),
            first(f"{ids[name]!r}: {' and '.join(map(repr, sorted(labels[name])))}" for name in torn),
            "a score by class counts one of them as wrong whatever is found: keep the label that is meant",
        )


def naming(pair_set: PairSet) -> Iterator[Finding]:
    """Whether texts name their own class in words."""
    words = {label: [_words(name) for name in pair_set.names_of(label)] for label in pair_set.label_space}
    labelled = [(pair.id, pair.text, pair.label) for pair in pair_set.pairs if pair.text and pair.label is not None]
    named = [key for key, text, label in labelled if any(f" {name} " in f" {_words(text)} " for name in words[label])]
    if named and len(named) >= NAMING * len(labelled):
        yield Finding(
            "texts name their class",
            f"{len(named)} of {len(labelled)} texts with a label name it in words",
            *_counted(named, labelled),
            advice="where labels were taken from the texts, scores of texts by class flatter",
            grave=False,
        )


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("_", " ")))


def _picture(pair: Pair, names: dict[Path, Hashable]) -> Hashable:
    return names.get(pair.image, pair.image) if pair.image is not None else None  # none where nobody looks at them


def _again(named: Iterable[tuple[str, Hashable]]) -> list[str]:
    """The ids of those whose content an earlier one has."""
    seen: set[Hashable] = set()
    return [key for key, what in named if what in seen or seen.add(what)]  # type: ignore[func-returns-value]


def _counted(found: Sequence[str], among: Sequence[object]) -> tuple[int, int, tuple[str, ...]]:
    return len(found), len(among), first(map(repr, found))
