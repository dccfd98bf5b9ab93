"""Images or texts to encode, one medium at a time: of a data set, of a manifest that has that medium alone, or of a
folder of files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dckt_core.base.errors import DataError
from dckt_core.base.progress import logger
from dckt_core.config import DataChoice
from dckt_core.contract.discovery import Registered, Registry, blame
from dckt_core.contract.pairs import MEDIA, ImageItem, Medium, Metadata, Pair, TextItem, nothing_else
from dckt_core.data.collector import Names
from dckt_core.data.context import Context
from dckt_core.data.faults import Problem
from dckt_core.data.inspection import images_of
from dckt_core.data.manifest import ManifestError, check_fields, inspect_entries, manifest_file
from dckt_core.data.metadata import of_cell, with_captions
from dckt_core.data.records import Reading, data_folder, opened
from dckt_core.data.sources import find_dataset, load_pair_set
from dckt_core.io.feature_files import FeatureTable
from dckt_core.io.images import IMAGE_SUFFIXES
from dckt_core.io.text import check_inside, decode_line, is_in, numbered_lines, parse_json, read_text

TEXT_SUFFIXES = (".txt",)
SUFFIXES = {"image": IMAGE_SUFFIXES, "text": TEXT_SUFFIXES}


@dataclass(frozen=True, slots=True)
class RowItem:
    """A row of a file of features, and the image or the text that it is of, where the file says that."""

    id: str
    number: int
    image: Path | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An item and what is known of it besides.

    Attributes:
        seen: whether there is an image to be seen, and not its features alone.
    """

    item: ImageItem | TextItem | RowItem
    label: str | None = None
    split: str | None = None
    seen: bool = True
    metadata: Metadata = field(default_factory=nothing_else, hash=False)

    @property
    def id(self) -> str:
        return self.item.id

    def as_json(self, root: Path | None = None) -> dict[str, Any]:
        """For a line of JSON; an image's path is relative to `root` where there is one and it lies in it."""
        said: dict[str, Any] = {"id": self.id}
        text = self.item.text if isinstance(self.item, TextItem | RowItem) else None
        path = self.item.path if isinstance(self.item, ImageItem) else None
        path = self.item.image if isinstance(self.item, RowItem) else path
        if text is not None:
            said["text"] = text
        if path is not None and self.seen:
            said["image"] = path.relative_to(root).as_posix() if root and path.is_relative_to(root) else str(path)
        said |= {key: value for key in ("label", "split") if (value := getattr(self, key)) is not None}
        return said | ({"metadata": self.metadata} if self.metadata else {})


@dataclass(frozen=True)
class Listing:
    """What was found at a place.

    Attributes:
        origin: the place, as the user knows it.
        root: the folder that images lie in.
        entries: in the order of the manifest, or of the files' names.
        problems: lines and text files that cannot be used.
    """

    origin: str
    root: Path
    entries: Sequence[Entry]
    problems: Sequence[Problem] = ()


def list_items(location: str, medium: Medium, context: Context) -> Listing:
    """The images or the texts at a place.

    Args:
        location: a `.jsonl` manifest or a folder with `pairs.jsonl`, whose lines need no more than the medium; a
            folder that another layout recognises; any other folder, which is walked through for image files or for
            `.txt` files in UTF-8, with relative paths as ids; or the name of a data set that needs no path.

    Raises:
        DataError: nothing is there, or nothing of the medium.
    """
    path = Path(location)
    if _is_manifest(path):
        listing = _of_manifest(location, medium, context.image_roots)
    elif path.is_dir() and not _is_recognised(path, context.registry):
        listing = _of_folder(path, medium, context.image_roots)
    else:
        listing = _of_dataset(location, medium, context)
    if not listing.entries and not listing.problems:
        raise DataError(f"{location}: holds no {medium}s")
    return listing


def media_at(location: str, registry: Registry) -> list[Medium]:
    """The media that a place seems to hold, as `list_items` understands it: by the fields of a manifest's lines, or by
    the files of a folder that no layout recognises; a data set has both.
    """
    path = Path(location)
    media: tuple[Medium, ...] = MEDIA
    if _is_manifest(path):
        return [medium for medium in media if medium in _media_in(manifest_file(path))] or list(media)
    if path.is_dir() and not _is_recognised(path, registry):
        suffixes = {file.suffix.lower() for file in _walk(path)}
        return [medium for medium in media if suffixes & set(SUFFIXES[medium])]
    return list(media)


def of_pairs(origin: str, root: Path, pairs: Iterable[Pair], medium: Medium, *, pictures: bool = True) -> Listing:
    """The images or the texts of pairs and lone items.

    Args:
        pictures: False where some may not be there, since features come from elsewhere.
    """

    def seen(pair: Pair) -> bool:
        return pictures or medium == "text" or (pair.image is not None and pair.image.is_file())

    entries = [
        Entry(pair.item(medium), pair.label, pair.split, seen(pair), _besides(medium, pair.metadata, pair.captions))
        for pair in pairs
        if pair.has(medium)
    ]
    return Listing(origin, root, entries)


def of_table(table: FeatureTable, medium: Medium, roots: Sequence[Path] = ()) -> Listing:
    """The rows of a file of features, as items of one medium.

    Args:
        roots: folders besides the table's own that pictures may be in.

    Raises:
        DataError: a picture's path leads elsewhere, or metadata are none.
    """
    root = os.path.realpath(table.root)

    def picture(number: int, path: str) -> Path:
        inside = Path(path).is_relative_to(table.root)  # as an extraction names what a user allowed
        try:
            check_inside(root, path, "image", there=False, roots=(*roots, table.root) if inside else roots)
        except ValueError as error:
            raise DataError(f"{table.place}: row {number}: {error}") from None
        return table.root / path

    def entry(number: int, name: str) -> Entry:
        known = table.known(number)
        image = picture(number, known["image"]) if medium == "image" and "image" in known else None
        text = known.get("text") if medium == "text" else None
        try:
            metadata = of_cell(known["metadata"]) if "metadata" in known else nothing_else()
        except ValueError as error:
            raise DataError(f"{table.place}: row {number}: {error}") from None
        return Entry(RowItem(name, number, image, text), known.get("label"), known.get("split"), metadata=metadata)

    entries = [entry(number, name) for number, name in enumerate(table.ids)]
    return Listing(str(table.place), table.root, entries)


def _is_manifest(path: Path) -> bool:
    return manifest_file(path).is_file() and (path.is_dir() or path.suffix == ".jsonl")


def _media_in(manifest: Path) -> set[str]:
    """The media that good lines have; reading in earnest tells of the others."""
    media: set[str] = set()
    try:
        with manifest.open("rb") as stream:
            for _, line in numbered_lines(stream):
                try:
                    fields = parse_json(decode_line(line))
                except ValueError:
                    continue
                if isinstance(fields, dict):
                    media |= {medium for medium in MEDIA if fields.get(medium) is not None}
                if media == set(MEDIA):
                    break
    except OSError:
        pass
    return media


def _of_manifest(location: str, medium: Medium, roots: Sequence[Path]) -> Listing:
    file = manifest_file(Path(location))
    found, problems = inspect_entries(file, medium, roots=roots)
    entries = [
        Entry(
            _item(entry, medium),
            entry.get("label"),
            entry.get("split"),
            metadata=_besides(medium, entry.get("metadata"), entry.get("captions", ())),
        )
        for entry in found
        if medium in entry
    ]
    if len(entries) < len(found):
        logger.info("%s: %d lines have no %s and are left alone", file, len(found) - len(entries), medium)
    return Listing(location, file.parent, entries, problems)


def _besides(medium: Medium, metadata: Metadata | None, captions: Sequence[str]) -> Metadata:
    """What comes back with an item: its metadata, and with a picture its captions, of which a text consists anyway."""
    return with_captions(metadata or nothing_else(), captions if medium == "image" else ())


def _item(entry: dict[str, Any], medium: Medium) -> ImageItem | TextItem:
    return ImageItem(entry["id"], Path(entry["image"])) if medium == "image" else TextItem(entry["id"], entry["text"])


def _is_recognised(path: Path, registry: Registry) -> bool:
    """Whether any layout says that the folder is one of its own."""
    for registered in registry.all("dataset"):
        with blame(registered):
            if registered.spec.detect(path):
                return True
    return False


def _of_dataset(location: str, medium: Medium, context: Context) -> Listing:
    registered, path = find_dataset(DataChoice(location=location), context.registry)
    if path is not None and registered.spec.records is not None:
        return _of_records(registered, path, medium, context)
    choice = DataChoice(location=location)
    problems: Sequence[Problem] = ()
    try:
        pair_set = load_pair_set(choice, context)
    except ManifestError as error:
        pair_set, problems = error.good, error.problems
    path = Path(location)
    if not path.exists() and images_of(pair_set.pairs):  # made on the spot, somewhere in the cache
        path = Path(os.path.commonpath([image.parent for image in images_of(pair_set.pairs)]))
    listing = of_pairs(location, path if path.is_dir() else path.parent, pair_set.pairs, medium)
    return replace(listing, problems=problems)


def _of_records(registered: Registered, path: Path, medium: Medium, context: Context) -> Listing:
    """What a layout states, whether or not it has splits."""
    given = context.for_dataset(pictures=medium == "image")
    folder, names = data_folder(path), Names()
    root, reading = os.path.realpath(folder), Reading(folder, pictures=medium == "image")
    entries: list[Entry] = []
    problems: list[Problem] = []
    others = 0
    with blame(registered):
        records = registered.spec.records(path, registered.spec.options(), given)
        for one in opened(path, records, reading, context.cache_dir):
            place = one.record.file, one.record.line
            problems += [Problem(*place, one.reason)] if one.reason else []
            for entry in one.entries:
                if medium not in entry:
                    others += 1
                    continue
                try:
                    check_fields(entry, medium)
                    if medium == "image" and one.picture is None:
                        check_inside(root, entry["image"], "image", roots=context.image_roots)
                    entry["id"] = names.name(entry.get("id"), entry.get("image", ""))
                except ValueError as error:
                    problems.append(Problem(*place, str(error)))
                    continue
                picture = one.picture or folder / entry.get("image", "")
                item = _item({**entry, "image": picture}, medium)
                known = entry.get("label"), entry.get("split")
                besides = _besides(medium, entry.get("metadata"), entry.get("captions", ()))
                entries.append(Entry(item, *known, metadata=besides))
    reading.tell(str(path))
    if others:
        logger.info("%s: %d records have no %s and are left alone", path, others, medium)
    return Listing(str(path), folder, entries, problems)


def _of_folder(folder: Path, medium: Medium, roots: Sequence[Path]) -> Listing:
    """The files of a folder. Links that leave it are bad items, unless they lead to where the user allows."""
    allowed = [os.path.realpath(root) for root in (folder, *roots)]
    entries: list[Entry] = []
    problems: list[Problem] = []
    others = 0
    for file in _walk(folder):
        if file.suffix.lower() not in SUFFIXES[medium]:
            others += 1
            continue
        name = file.relative_to(folder).as_posix()
        try:
            name.encode("utf-8")
            if not name.isprintable():
                raise ValueError("its name holds a character that cannot be shown")
            if not any(is_in(os.path.realpath(file), root) for root in allowed):
                raise ValueError("a link that leaves the folder; --follow-links takes such, too")
            item = ImageItem(name, file) if medium == "image" else TextItem(name, read_text(file))
        except UnicodeEncodeError:
            problems.append(Problem(file, None, "its name is not UTF-8"))
        except ValueError as error:
            problems.append(Problem(file, None, str(error)))
        else:
            entries.append(Entry(item))
    if others:
        logger.info("%s: %d files are no %ss and left alone", folder, others, medium)
    if not entries and not problems:
        raise DataError(f"{folder}: holds no {medium}s ({', '.join(SUFFIXES[medium])})")
    return Listing(str(folder), folder, entries, problems)


def _walk(folder: Path) -> Iterator[Path]:
    """All files, by name, folder by folder; hidden ones and linked folders are left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(place, name)
