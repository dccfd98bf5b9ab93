"""The folder of an index.

    index.json          which run encoded it, which index it is, how it came to be, and which folder holds the contents
    contents-1/
      image/            items.jsonl and dropped.jsonl, as an extraction has them, and vectors/, which the index itself
      text/             writes
    .encoding/          extractions: what a build or an addition that is not done yet has encoded so far

A change writes contents anew beside the old ones, then `index.json`, then the old ones go: whoever stops on the way,
the index is the one before or the one after. `index.json` holds the digests of all other files and its own: what is
altered afterwards is noticed when it is read. Nothing in it is a pickle.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dckt_core.base.errors import DataError
from dckt_core.contract.discovery import Registry
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import IndexContext
from dckt_core.io.files import sync_folder
from dckt_core.io.json import read_lines, read_record, write_lines, write_sealed
from dckt_core.io.seal import Seal, digests
from dckt_core.retrieval.gallery import Gallery, new_gallery
from dckt_core.retrieval.shards import DROPPED, Extraction
from dckt_core.runs.model import Checkpoint

FORMAT = 1
BUILD_ANEW = "dckt index builds it anew, from the run and what was put in, into another folder"
"""What an index that is altered is made from."""
HEADER, ENCODING = "index.json", ".encoding"

Galleries = dict[Medium, Gallery]


@dataclass(frozen=True)
class Made:
    """The run whose encodings an index holds.

    Attributes:
        fingerprint: of the model, wherever its run lies; see `TrainedModel.fingerprint`.
        run: the absolute path of its run when the index was made.
    """

    fingerprint: str
    run: str
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Header:
    """What `index.json` holds.

    Attributes:
        contents: folder with the galleries.
        dim: D, the width of the vectors.
        index: name of the index plugin.
        options: all of its options.
        seed: what it draws by.
        counts: items by medium.
        history: what was done to it, oldest first, with the provenance of what was added.
        files: digests of the contents; see `Seal`.
    """

    model: Made
    dim: int
    index: str
    options: Mapping[str, Any]
    seed: int
    counts: Mapping[Medium, int]
    contents: str = ""
    history: tuple[Mapping[str, Any], ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def new_gallery(self, medium: Medium, registry: Registry) -> Gallery:
        """An empty gallery of the index's kind."""
        context = IndexContext(dim=self.dim, seed=self.seed)
        return new_gallery(medium, self.index, self.options, context, registry)


def is_index(path: Path) -> bool:
    """Whether an index lies there, and no run.

    Raises:
        DataError: nothing lies there.
    """
    if not path.exists():
        raise DataError(f"{path}: no such index or run")
    return (path / HEADER).is_file()


def read_header(path: Path) -> Header:
    """What `index.json` holds.

    Raises:
        DataError: it is not there, is no such file, altered or of another format.
    """
    file = path / HEADER
    if not file.exists():
        raise DataError(f"{path}: no index ({HEADER} is not there)")
    header = read_record(file, "the header of an index", Header, format=FORMAT, remedy=BUILD_ANEW)
    if not re.fullmatch(r"contents-\d{1,9}", header.contents):
        raise DataError(f"{file}: not the header of an index: its contents are no folder of it")
    return header


def read_galleries(path: Path, header: Header, registry: Registry) -> Galleries:
    """The galleries of an index.

    Raises:
        DataError: one is missing, broken or altered.
    """
    index_seal(path, header).check(*(path / name for name in header.files))
    galleries = {medium: header.new_gallery(medium, registry) for medium in header.counts}
    for medium, gallery in galleries.items():
        gallery.load(path / header.contents / medium)
    return galleries


def index_seal(path: Path, header: Header) -> Seal:
    """What vouches for the contents of an index."""
    return Seal(path, header.files, BUILD_ANEW)


def write(
    path: Path,
    header: Header,
    galleries: Galleries,
    step: Mapping[str, Any],
    extractions: Mapping[Medium, Extraction],
) -> None:
    """Puts galleries in the place of those that the header has told of so far, at once. The folder must be held.

    Args:
        step: what was done, for the history.
        extractions: what was added.
    """
    contents = path / f"contents-{1 + int(header.contents.rpartition('-')[2] or 0)}"
    shutil.rmtree(contents, ignore_errors=True)  # left by a change that was stopped
    for medium, gallery in galleries.items():
        gallery.save(contents / medium)
        before = path / header.contents / medium / DROPPED
        rows = list(read_lines(before, "what was left out")) if before.exists() else []
        rows += extractions[medium].dropped() if medium in extractions else []
        if rows:
            write_lines(contents / medium / DROPPED, rows)
    _flush(contents)
    counts = {medium: len(gallery) for medium, gallery in galleries.items()}
    history = (*header.history, step)
    files = digests(path, (file for file in contents.rglob("*") if file.is_file()))
    now = replace(header, contents=contents.name, counts=counts, history=history, files=files)
    write_sealed(path / HEADER, asdict(now))
    for old in path.glob("contents-*"):
        if old != contents:
            shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(path / ENCODING, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Has the system write all files of a folder to the disk, whoever made them."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            with Path(place, name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(Path(place))
