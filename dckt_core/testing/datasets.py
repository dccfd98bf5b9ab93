"""`assert_dataset_ok`: the rules of `specs.DatasetSpec` and `pairs.PairSet` on a data set that really is there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dckt_core.base.errors import DataError, UsageError
from dckt_core.config import Config
from dckt_core.contract.pairs import SPLITS, Pair, PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.specs import DatasetSpec
from dckt_core.data.checks import check_source, check_target
from dckt_core.testing.rules import Subject

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

PICTURES_OPENED = 12
"""Of a data set, at most."""


def assert_dataset_ok(spec: DatasetSpec[Any], options: Any = None, location: Path | None = None) -> None:
    """Loads a data set twice and holds it to the contract.

    Pairs of the right types with ids of their own, pictures that open, enough pairs and classes to train on; the same
    pairs in the same order each time; `detect` recognises the location and nothing else; settings that are
    configuration; the location and everything global stay as they are.

    Args:
        options: an instance of `spec.options`; its defaults by default.
        location: a small data set in this layout; none for one that is made on the spot.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
        UsageError, DataError: what `load` says that the user can help, such as a location that is missing.
    """
    subject = Subject(spec, "dataset", options)
    check = _Check(subject, location)
    with tempfile.TemporaryDirectory() as folder, subject.leaves_alone(first_build=True):
        pair_set = check.load(Path(folder))
        check.pairs(pair_set)
        check.pictures(pair_set.pairs)
        check.trainable(pair_set)
        content = check.content(pair_set)
    with tempfile.TemporaryDirectory() as folder, subject.leaves_alone():
        same = check.content(check.load(Path(folder))) == content
        subject.require(same, "loaded twice it must give the same pairs in the same order")
        check.detect(Path(folder))
        check.settings()


class _Check:
    def __init__(self, subject: Subject, location: Path | None) -> None:
        self.subject, self.require, self.location = subject, subject.require, location

    def load(self, cache_dir: Path) -> PairSet:
        """The pairs; what lies at the location is left as it was."""
        before = _files(self.location)
        with self.subject.blamed("load"):
            context = DatasetContext(cache_dir=cache_dir, progress=self.progress)
            pair_set = self.subject.spec.load(self.location, self.subject.options, context)
        self.require(isinstance(pair_set, PairSet), f"load must return a PairSet, not {type(pair_set).__name__}")
        assert isinstance(pair_set, PairSet)
        changed = sorted(before.items() ^ _files(self.location).items())
        self.require(not changed, f"load changes what lies at its location: {changed[0][0] if changed else ''}")
        return pair_set

    def progress(self, done: int, total: int, what: str) -> None:
        good = isinstance(done, int) and isinstance(total, int) and 0 <= done <= total and isinstance(what, str)
        self.require(good, f"progress must be called with done, total and a word, not {(done, total, what)!r}")

    def pairs(self, pair_set: PairSet) -> None:
        for field in ("name", "origin"):
            value = getattr(pair_set, field)
            self.require(isinstance(value, str) and value, f"the PairSet's {field} must be text, not {value!r}")
        sequence = isinstance(pair_set.pairs, Sequence) and all(isinstance(pair, Pair) for pair in pair_set.pairs)
        self.require(sequence, "the PairSet's pairs must be a sequence of Pair")
        ids: set[str] = set()
        for number, pair in enumerate(pair_set.pairs):
            self.pair(pair, f"pair {number}, '{pair.id}',")
            self.require(pair.id not in ids, f"every pair needs an id of its own, and '{pair.id}' is there twice")
            ids.add(pair.id)
        for label, names in pair_set.names.items():
            good = isinstance(names, tuple) and all(map(_is_line, (label, *names)))
            self.require(good, f"the names of class '{label}' must be a tuple of lines of text, not {names!r}")

    def pair(self, pair: Pair, named: str) -> None:
        for field, value in (("id", pair.id), ("label", "-" if pair.label is None else pair.label)):
            self.require(
                _is_line(value), f"{named} must have one line of text without blanks at its ends for {field}: {value!r}"
            )
        text = pair.text is None or isinstance(pair.text, str)
        self.require(text, f"{named} must have text, or None, not {type(pair.text).__name__}")
        self.require(pair.split in SPLITS, f"{named} must be in split train, val or test, not {pair.split!r}")
        path = pair.image
        if path is not None:
            there = path.is_file() or not self.subject.spec.pictures
            self.require(there, f"{named} has an image that is not there: {path}")
        captions = isinstance(pair.captions, tuple) and all(isinstance(caption, str) for caption in pair.captions)
        self.require(captions, f"{named} must have captions that are a tuple of texts")

    def pictures(self, pairs: Sequence[Pair]) -> None:
        seen = [pair for pair in pairs if pair.image is not None] if self.subject.spec.pictures else []
        for pair in _some(seen):
            try:
                pair.image_item.open()
            except DataError as error:
                self.require(False, f"the image of pair '{pair.id}' cannot be opened: {error}")

    def trainable(self, pair_set: PairSet) -> None:
        """Fit for a target where it has what that is scored on, else for a source."""
        try:
            check_target(pair_set) if pair_set.split("test") else check_source(pair_set)
        except DataError as error:
            self.require(False, f"nothing can be trained on it: {error}")

    def content(self, pair_set: PairSet) -> list[tuple[Any, ...]]:
        """What the pairs are, wherever their images lie; some of the images with it."""
        said: list[tuple[Any, ...]] = [(p.id, p.text, p.label, p.split, p.captions) for p in pair_set.pairs]
        said += [(names, *pair_set.names[names]) for names in sorted(pair_set.names)]
        images = [path for pair in _some(pair_set.pairs) if (path := pair.image) is not None]
        return said + [(path.name, path.read_bytes() if path.is_file() else b"") for path in images]

    def detect(self, folder: Path) -> None:
        empty = folder / "an empty folder"
        empty.mkdir()
        cases = {"an empty folder": empty, "a path where nothing is": folder / "nothing"}
        for what, path in cases.items():
            with self.subject.blamed(f"detect, for {what},"):
                found = self.subject.spec.detect(path)
            self.require(not found, f"detect must be False for {what}")
        if self.location is not None:
            with self.subject.blamed("detect"):
                found = self.subject.spec.detect(self.location)
            self.require(found, "detect must be True for the location that it was checked with")

    def settings(self) -> None:
        settings: Mapping[str, Any] = self.subject.spec.settings
        try:
            Config.resolve(settings=settings)
        except UsageError as error:
            self.require(False, f"its settings are no configuration: {error}")


def _is_line(value: object) -> bool:
    """Whether it is one line of text with no blanks at its ends."""
    return isinstance(value, str) and value != "" and value == value.strip() and not CONTROL.search(value)


def _some(pairs: Sequence[Pair]) -> Sequence[Pair]:
    """A few pairs, spread over the data set."""
    return pairs[:: max(1, len(pairs) // PICTURES_OPENED)][:PICTURES_OPENED]


def _files(location: Path | None) -> dict[str, tuple[int, int]]:
    """Size and time of change of all files at a location."""
    if location is None:
        return {}
    files = [location] if location.is_file() else [path for path in location.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}
