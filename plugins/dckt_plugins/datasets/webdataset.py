"""`webdataset`: pairs in tar archives, `KEY.jpg` and `KEY.txt` or `KEY.json` one behind the other, as WebDataset and
img2dataset write them.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dckt_core import DataError, DatasetContext, PairSet, Record, UsageError, collect, parse_json
from dckt_plugins.datasets.catalogue import WebDatasetOptions
from dckt_plugins.datasets.columns import KNOWN
from dckt_plugins.datasets.pictures import check_found, is_picture

NAME = "webdataset"
ARCHIVES = (".tar", ".tar.gz", ".tgz")
LARGEST = 1 << 28
"""Bytes of a member that are read into memory."""
LARGEST_TEXT = 1 << 20
END = 512
"""Bytes that are zero at an archive's end; there are twice as many, and some write half."""
TEXTS, CLASSES = (".txt", ".text", ".caption", ".cap"), (".cls", ".label")

_SPLIT = re.compile(r"(train|training|val|valid|validation|dev|test)(?![a-z])", re.IGNORECASE)


def detect(path: Path) -> bool:
    """True for an archive, and for a folder of such and nothing that another layout goes by."""
    if path.is_file():
        return path.name.lower().endswith(ARCHIVES)
    return path.is_dir() and bool(_archives(path))


def records(location: Path, options: WebDatasetOptions, context: DatasetContext) -> Iterator[Record]:
    """The samples in order, archive by archive; the members of one sample follow one another."""
    archives = _archives(location) if location.is_dir() else [location]
    if not archives:
        raise DataError(f"{location}: no archive (.tar) in it")
    for archive in archives:
        check_found(location, archive, context)
        yield from _of_archive(archive, options)


def load(location: Path | None, options: WebDatasetOptions, context: DatasetContext) -> PairSet:
    """The pairs of all archives, whose pictures are unpacked; raises `ManifestError` where there are problems."""
    if location is None:
        raise UsageError(f"data set '{NAME}' needs a path: of an archive (.tar), or a folder of such")
    return collect(location, NAME, records(location, options, context), context, split=options.split)


def _of_archive(archive: Path, options: WebDatasetOptions) -> Iterator[Record]:
    found = _SPLIT.match(archive.stem)
    split, number, key, parts, faults = (found[1] if found else None), 0, "", dict[str, bytes](), list[str]()
    try:
        with archive.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                name = PurePosixPath(member.name)
                if not member.isfile() or name.name.startswith("."):
                    continue
                stem, dot, suffix = name.name.partition(".")  # WebDataset's rule: up to the first dot
                own = str(name.parent / stem)
                if own != key and key:
                    number += 1
                    yield _record(archive, number, key, parts, faults, split, options)
                    parts, faults = {}, []
                key = own
                suffix = f".{suffix.lower()}" if dot else ""
                limit = LARGEST if is_picture(f"a{suffix}") else LARGEST_TEXT
                if member.size > limit:
                    faults.append(f"member '{name.name}' of {member.size} bytes is more than the {limit} that are read")
                    continue
                content: IO[bytes] | None = tar.extractfile(member)
                parts[suffix] = content.read() if content else b""
            if key:
                number += 1
                yield _record(archive, number, key, parts, faults, split, options)
        if _lacks_its_end(archive):
            yield Record(archive, number + 1, fault="not a whole archive: its end is missing", cut=True)
    except (tarfile.TarError, EOFError) as error:
        yield Record(archive, number + 1, fault=f"not a whole archive: {error}", cut=True)
    except OSError as error:
        raise DataError(f"{archive}: cannot be read: {error.strerror or error}") from None


def _record(
    archive: Path,
    number: int,
    key: str,
    parts: dict[str, bytes],
    faults: list[str],
    split: str | None,
    options: WebDatasetOptions,
) -> Record:
    if faults:
        return Record(archive, number, fault=faults[0])
    own = archive.name.partition(".")[0]
    fields: dict[str, Any] = {"id": f"{own}/{key}", "split": split}
    try:
        said = parse_json(_text(parts[".json"])) if ".json" in parts else {}
        for suffix in TEXTS:
            if suffix in parts:
                fields["text"] = _text(parts[suffix]).strip()
                break
        for suffix in CLASSES:
            if suffix in parts:
                fields["label"] = _text(parts[suffix]).strip()
                break
    except ValueError as error:
        return Record(archive, number, fault=str(error))
    if isinstance(said, dict):
        named = {"text": options.text_column, "label": options.label_column, "split": options.split_column}
        for field, column in named.items():
            names = (column,) if column else KNOWN[field]
            known = next((name for name in names if said.get(name) is not None), None)
            if known is not None and (fields.get(field) is None or column):
                fields[field] = said.pop(known)
        if isinstance(fields.get("text"), list):
            fields["captions"] = fields.pop("text")
        fields["metadata"] = said
    picture = next((suffix for suffix in parts if is_picture(f"a{suffix}")), None)
    if picture is None:
        return Record(archive, number, fields)
    return Record(archive, number, {**fields, "image": f"{own}/{key}{picture}"}, picture=parts[picture])


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"a text in it is not UTF-8: byte {error.start + 1} is 0x{content[error.start]:02x}") from None


def _lacks_its_end(archive: Path) -> bool:
    """Whether an archive that is not compressed is cut off between two members: zeros end it."""
    with archive.open("rb") as stream:
        if stream.read(262)[257:] != b"ustar":
            return False
        stream.seek(-END, os.SEEK_END)
        return any(stream.read(END))


def _archives(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.name.lower().endswith(ARCHIVES) and not file.name.startswith(".")
    )
