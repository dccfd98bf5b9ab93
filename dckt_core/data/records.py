"""From records, in whatever spelling people have, to what docs/data.md says of a line of a manifest. No torch in here.

What is read otherwise than it is written is counted and told: a split called `dev`, labels that are numbers, paths with
backslashes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dckt_core.base.errors import printable
from dckt_core.base.progress import logger
from dckt_core.contract.pairs import SPLITS, PairSet, Split
from dckt_core.contract.protocols import DatasetContext
from dckt_core.contract.records import Record
from dckt_core.data.collector import PairCollector
from dckt_core.io.files import write_atomically
from dckt_core.io.paths import meant
from dckt_core.io.text import shown

SPELLINGS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "tr", "restval", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}
"""What splits are called in the world, in lower case. `restval` is Karpathy's, of images that are trained on."""
LONGEST_NAME = 200
"""Bytes."""
UNPACKED = "unpacked"
"""Folder of the cache for pictures that lie in archives."""


def collect(
    location: Path | None,
    layout: str,
    records: Iterable[Record],
    context: DatasetContext,
    *,
    split: Split | None = None,
) -> PairSet:
    """The data set that records make up where they lie: what a layout's `load` gives.

    Pictures that are no files, such as those in an archive, are unpacked into the cache.

    Args:
        location: of the data set.
        layout: its registered name, for errors.
        split: what all is for that says nothing of it.

    Raises:
        ManifestError: something is wrong with it; the good pairs come along.
    """
    folder = location and data_folder(location)
    collector = PairCollector(folder, layout, pictures=context.pictures, roots=context.image_roots)
    if location is not None and location.is_file():
        collector.name, collector.origin = location.stem, str(location)
    reading = Reading(collector.folder, split=split, pictures=context.pictures)
    for one in opened(location or collector.folder, records, reading, context.cache_dir):
        if one.reason:
            collector.problem(one.record.file, one.record.line, one.reason, cut=one.record.cut)
        for entry in one.entries:
            collector.add(one.record.file, one.record.line, entry.copy, picture=one.picture)
    reading.tell(collector.origin)
    return collector.pair_set()


@dataclass(frozen=True, slots=True)
class Opened:
    """A record, its entries or why there are none, and the file of its picture where it brought its bytes."""

    record: Record
    entries: Sequence[dict[str, Any]] = ()
    reason: str = ""
    picture: Path | None = None


def opened(location: Path, records: Iterable[Record], reading: Reading, cache_dir: Path) -> Iterator[Opened]:
    """What records say, one by one; pictures that are no files are unpacked into the cache."""
    unpacked: Path | None = None
    for number, record in enumerate(records):
        try:
            entries = list(reading.entries(record))
        except ValueError as error:
            yield Opened(record, reason=str(error))
            continue
        picture = None
        if record.picture is not None and entries and "image" in entries[0]:
            unpacked = unpacked or cache_dir / UNPACKED / _place_key(location)
            picture = unpacked / f"{number:07}-{PurePosixPath(safe_name(entries[0]['image'])).name}"
            if reading.pictures:
                _write(picture, record.picture)
        yield Opened(record, entries, picture=picture)


def data_folder(location: Path) -> Path:
    """The folder that pictures' paths start from: the location, or of a file the one that it lies in; of JSON in
    `annotations/`, as COCO has it, the one around that.
    """
    if location.is_dir():
        return location
    around = location.absolute().parent
    return around.parent if around.name == "annotations" and location.suffix == ".json" else location.parent


def safe_name(name: str) -> str:
    """A relative path of files for a name from anywhere: no `..`, no drive, nothing that cannot be shown."""
    parts = [part for part in printable(name).replace("\\", "/").split("/") if part.strip(" .")]
    return "/".join(_shorter(part.replace(":", "_").strip()) for part in parts) or "picture"


def _shorter(name: str) -> str:
    """A name that file systems take, of 255 bytes, with room for a number in front or behind."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    suffix = PurePosixPath(name).suffix
    suffix = suffix if len(suffix) <= 8 else ""
    return name.encode()[: LONGEST_NAME - len(suffix.encode())].decode("utf-8", "ignore") + suffix


def _write(file: Path, content: bytes) -> None:
    """A file with this content, where it is not there already."""
    if not file.is_file() or file.stat().st_size != len(content):
        file.parent.mkdir(parents=True, exist_ok=True)

        def write(temporary: Path) -> None:
            temporary.write_bytes(content)

        write_atomically(file, write)


def _place_key(location: Path) -> str:
    """Names a place and what lies there now, as far as names, sizes and times tell."""
    digest = hashlib.sha256(str(location.absolute()).encode("utf-8", "surrogateescape"))
    for file in sorted(location.rglob("*")) if location.is_dir() else [location]:
        if file.is_file():
            found = file.stat()
            digest.update(f"{file} {found.st_size} {found.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


class Reading:
    """Turns records into fields of a manifest's line, and remembers what it read otherwise than it was written.

    Args:
        folder: the data set's.
        splits: what further words for splits mean.
        split: what all is for that says nothing of it; None where that is a fault.
        pictures: False where none need be there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        splits: Mapping[str, Split] | None = None,
        split: Split | None = None,
        pictures: bool = True,
    ) -> None:
        self.folder, self.pictures = folder, pictures
        self._words = {**SPELLINGS, **{word.casefold(): said for word, said in (splits or {}).items()}}
        self._split = split
        self.read_as: Counter[str] = Counter()

    def entries(self, record: Record) -> Iterator[dict[str, Any]]:
        """What a record says, one entry for each of its texts.

        Raises:
            ValueError: it cannot be read, or its split is none that is known.
        """
        if record.fault:
            raise ValueError(record.fault)
        said = {key: value for key, value in record.fields.items() if value is not None and value == value}  # no NaN
        entry: dict[str, Any] = {}
        for key, read in (("image", self._image), ("label", self._label), ("split", self._split_of), ("id", self._id)):
            if key in said and (value := read(said[key], record)) is not None:
                entry[key] = value
        if self._split is not None:
            entry.setdefault("split", self._split)
        if metadata := as_metadata(said.get("metadata", {})):
            entry["metadata"] = metadata
        captions = [
            _text(caption) for caption in said.get("captions", ()) if caption is not None and caption == caption
        ]
        if "text" in said or not captions:
            text = {"text": _text(said["text"])} if "text" in said else {}
            yield {**entry, **text, **({"captions": captions} if captions and text else {})}
            return
        for number, caption in enumerate(captions):
            more = {"id": f"{entry['id']}#{number}"} if "id" in entry and len(captions) > 1 else {}
            yield {**entry, "text": caption, **more}

    def tell(self, origin: str) -> None:
        """Says what was read otherwise than it was written."""
        for how, count in self.read_as.items():
            logger.info("%s: %s (%d records)", origin, how, count)

    def _image(self, value: Any, record: Record) -> str | None:
        name = str(value).strip()
        if not name:
            return None
        if record.picture is not None or not self.pictures:
            return name
        if name.lower().startswith(("http://", "https://", "s3://", "gs://")):
            raise ValueError(f"image {shown(name)} is an address; pictures are not fetched: download them first")
        found, why = meant(self.folder, name)
        if why:
            self.read_as[why] += 1
        return str(PurePosixPath(found))  # ./a is a, so that a picture has one name

    def _label(self, value: Any, record: Record) -> str | None:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, bool | int | float):
            self.read_as["labels that are numbers are read as texts"] += 1
            whole = isinstance(value, float) and value.is_integer()
            return str(int(value)) if whole or isinstance(value, int) else str(value)
        if not isinstance(value, str):
            raise ValueError(f"field 'label' must be a text or a number, not {type(value).__name__}")
        label = value.strip()
        if label != value and label:
            self.read_as["blanks around labels are left out"] += 1
        return label or None

    def _split_of(self, value: Any, record: Record) -> str | None:
        word = str(value).strip()
        if not word:
            return None
        split = self._words.get(word.casefold())
        if split is None:
            known = ", ".join(SPLITS)
            raise ValueError(
                f"unknown split {printable(word)[:40]!r} (known: {known}; --split-name WORD=SPLIT maps it)"
            )
        if split != word:
            self.read_as[f"split '{printable(word)}' is read as '{split}'"] += 1
        return split

    def _id(self, value: Any, record: Record) -> str | None:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip() or None


def _text(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"field 'text' must be a text, not {type(value).__name__}")
    return value


def as_metadata(said: Any) -> dict[str, Any]:
    """Fields as metadata may have them: nothing is left out but what is empty; objects and what JSON does not know
    become texts.
    """
    found: dict[str, Any] = {}
    if not isinstance(said, Mapping):
        return found
    for key, value in said.items():
        name = " ".join(printable(str(key)).split())
        value = _plain(value)
        if name and value is not None and value not in ("", [], {}):
            found[name] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list | tuple):
        parts = [part for part in map(_plain, value) if part is not None]
        return parts if all(isinstance(part, str | bool | int | float) for part in parts) else _as_text(value)
    return _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    try:
        return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace").decode("utf-8")
    except (TypeError, ValueError):
        return str(value)
