"""From the name or path of a data set to its pairs. No torch in here."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from dckt_core.base.errors import DataError, PluginError
from dckt_core.config import Config, DataChoice
from dckt_core.contract.discovery import Registered, Registry, blame
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import SPLITS, PairSet, Role, Split
from dckt_core.data.context import Context
from dckt_core.data.health import of_contents, of_labels, tell
from dckt_core.data.offer import offered, offered_source
from dckt_core.data.screening import Screened, screen
from dckt_core.io.images import IMAGE_SUFFIXES
from dckt_core.io.text import shown

MANY = 1000
"""Names in a folder that are looked at to tell what it might be."""
_BEGINNINGS = {
    b"\x1f\x8b": "it is packed with gzip; unpack it first",
    b"\xff\xd8": "it is a picture",
    b"\x89PNG": "it is a picture",
    b"[": "it is a JSON array; write its objects a line each, as .jsonl",
}
CLOSE = 0.8
"""How alike names are, in [0, 1], of which one may be meant for the other."""


def find_layout(path: Path, registry: Registry, layout: str = "auto") -> Registered:
    """The layout of that name, or with `auto` the one that recognises the path.

    Raises:
        UsageError: the layout is not registered.
        DataError: nothing is there; no layout, or more than one, recognises it.
    """
    if layout != "auto":
        return registry.find("dataset", layout)
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    fitting = []
    for registered in registry.all("dataset"):
        with blame(registered):
            if registered.spec.detect(path):
                fitting.append(registered)
    if not fitting:
        raise DataError(f"{path}: no known layout{nearest(path, registry)}")
    if len(fitting) > 1:
        names = ", ".join(registered.name for registered in fitting)
        raise DataError(f"{path}: more than one layout fits ({names}); name the one you mean")
    return fitting[0]


def nearest(path: Path, registry: Registry) -> str:
    """The tail of an error about a place in no known layout: the layout that is nearest, and all that there are."""
    specs = [registered.spec for registered in registry.all("dataset")]
    names = [spec.name for spec in specs if spec.records is not None or spec.marks]
    listing = f"known: {', '.join(names)}; --layout names one, docs/data.md tells of them"
    if begins := _beginning(path):
        return f": {begins} ({listing})"
    there = sorted(one.name for one in path.iterdir())[:MANY] if path.is_dir() else [path.name]
    marks = {one: spec.name for spec in specs for mark in spec.marks for one in mark.split("|") if "*" not in one}
    for name in there:
        close = difflib.get_close_matches(name, marks, n=1, cutoff=CLOSE)
        if close and name not in marks:
            return f": did you mean {close[0]} (of {marks[close[0]]}) for {shown(name)}? ({listing})"
    best, said = 0.0, what_it_is(path)
    for spec in specs:
        found = [next((name for name in there if _fits(name, mark)), None) for mark in spec.marks]
        having = [name for name in found if name is not None]
        if having and len(having) / len(found) > best:
            best = len(having) / len(found)
            lacking = [mark.split("|")[0] for name, mark in zip(found, spec.marks, strict=True) if name is None]
            without = f", without {', '.join(lacking)}" if lacking else " if it were whole"
            said = f"{', '.join(map(shown, having))} would be of {spec.name}{without}"
    if not said and any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in there):  # noqa: PTH122
        said = (
            "pictures alone; put captions.csv with the columns image and caption beside them, or NAME.txt beside each"
        )
    return f": {said} ({listing})" if said else f" ({listing})"


def _fits(name: str, mark: str) -> bool:
    return any(fnmatch(name, one) for one in mark.split("|"))


def _beginning(path: Path) -> str:
    """What a file's first bytes say for sure; '' where that is nothing, and of a folder."""
    if not path.is_file():
        return ""
    with path.open("rb") as stream:
        start = stream.read(4)
    return next((what for begin, what in _BEGINNINGS.items() if start.startswith(begin)), "")


def what_it_is(path: Path) -> str:
    """What a file seems to be by its first bytes, whatever it is called; '' where that says nothing."""
    if not path.is_file():
        return ""
    if begins := _beginning(path):
        return begins
    with path.open("rb") as stream:
        start = stream.read(512)
    if not start:
        return "it is empty"
    with suppress(UnicodeDecodeError):
        text = start.decode("utf-8") if len(start) < 512 else start[:-4].decode("utf-8", "ignore")
        if text and not any(letter < " " and letter not in "\t\r\n" for letter in text):
            return f"it is a text that begins {shown(text.splitlines()[0])}; --layout table reads one with columns"
    return ""


def find_dataset(choice: DataChoice, registry: Registry) -> tuple[Registered, Path | None]:
    """The layout of a data set and its path; no path for one that is made on the spot.

    Raises:
        UsageError: the layout is not registered.
        DataError: neither a path nor a data set of that name; no layout, or more than one, recognises the path.
    """
    known = {registered.spec.name: registered for registered in registry.all("dataset")}
    if choice.layout == "auto" and choice.location in known:
        return known[choice.location], None
    path = Path(choice.location)
    if choice.layout == "auto" and not path.exists():
        raise DataError(f"{choice.location}: no such path, and no data set of that name (known: {', '.join(known)})")
    return find_layout(path, registry, choice.layout), path


def places_of(config: Config, registry: Registry) -> dict[Role, Path]:
    """Where a run's data sets lie, whether or not they are there; those that are made on the spot lie nowhere."""
    made = {registered.spec.name for registered in registry.all("dataset")}
    choices: dict[Role, DataChoice] = {"source": config.source, "target": config.target}
    return {
        role: Path(choice.location)
        for role, choice in choices.items()
        if choice.layout != "auto" or choice.location not in made
    }


def load_pair_set(choice: DataChoice, context: Context, *, pictures: bool = True) -> PairSet:
    """The pairs of a data set.

    Args:
        pictures: False where nobody will look at the pictures, which then need not be there.
    """
    registered, path = find_dataset(choice, context.registry)
    options = parse_options(registered.spec, choice.options, where=f"data set '{choice.location}'")
    with blame(registered):
        pair_set = registered.spec.load(path, options, context.for_dataset(pictures=pictures))
        if not isinstance(pair_set, PairSet):
            raise PluginError(f"load must return a PairSet, not {type(pair_set).__name__}")
    return pair_set


def splits_used(role: Role) -> tuple[Split, ...]:
    """The splits that a run reads of its source or target."""
    return ("train",) if role == "source" else SPLITS


def training_texts(pair_sets: Iterable[PairSet]) -> list[str]:
    """What a text encoder may learn its words from: the texts of all training pairs and lone texts, whether or not
    anybody has said their class, and the names that classes were given; data set by data set.
    """
    texts: list[str] = []
    for pair_set in pair_sets:
        texts += [pair.text for pair in pair_set.training if pair.text is not None]
        texts += [name for names in pair_set.names.values() for name in names]
    return texts


def load_screened(config: Config, role: Role, context: Context, *, pictures: bool = True) -> Screened:
    """The good pairs of a run's source or target, and what was dropped, as the configuration has it.

    The pairs know their role from here on, and no more is known of them than `config.shots` and `config.offer` say.

    Args:
        pictures: as for `load_pair_set`.
    """
    choice = config.source if role == "source" else config.target
    screened = screen(
        lambda: load_pair_set(choice, context, pictures=pictures),
        splits=splits_used(role),
        on_error=config.on_error,
        max_bad_fraction=config.max_bad_fraction,
        cache_dir=context.cache_dir,
        progress=context.progress,
        pictures=pictures,
    )
    pair_set = screened.pair_set.of_role(role)
    known = offered_source(pair_set, config) if role == "source" else offered(pair_set, config)
    used = replace(known, pairs=[pair for pair in known.pairs if pair.split in splits_used(role)])
    findings = (*of_labels(pair_set), *of_contents(used, pictures=pictures))
    tell(pair_set.origin, findings)
    return replace(screened, pair_set=known, findings=findings)
