"""The folder that an extraction fills.

    extraction.json             what made the rows and of what: encoder or run, weights, input, versions, shards
    shard-00000.safetensors     `features` [n, dim] float32, with the rows' ids and what was dropped between them
    items.jsonl                 what is known of each row's item, in the order of the rows
    dropped.jsonl               what `on_error = 'skip'` left out, with the reason

A shard is whole or not there. `extraction.json` says `"complete": true` once all the others are there, and holds their
digests and its own: what is altered afterwards is noticed when it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import StrictBool, StrictInt, TypeAdapter, ValidationError
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Medium
from dckt_core.data.coverage import Coverage
from dckt_core.data.screening import OnError
from dckt_core.io.feature_files import ITEMS as ITEMS
from dckt_core.io.feature_files import SHARD, SHARD_FORMAT
from dckt_core.io.feature_kinds import EXTRACT_ANEW
from dckt_core.io.feature_kinds import HEADER as HEADER
from dckt_core.io.json import read_lines, read_record, write_sealed
from dckt_core.io.seal import Seal
from dckt_core.io.tensors import load_tensors, save_tensors

FORMAT = 1
DROPPED = "dropped.jsonl"
NO_PROVENANCE = ("format", "complete", "key", "medium", "dim", "shard_size", "shards", "files")


@dataclass(frozen=True)
class Input:
    """What was encoded.

    Attributes:
        location: as the user gave it.
        root: the folder that the items' paths start at.
        items: how many there are, the good and the bad.
    """

    location: str
    root: str
    items: int


@dataclass(frozen=True)
class ShardFile:
    """A file of the folder, and how many rows it holds."""

    file: str
    count: int


@dataclass(frozen=True)
class Header:
    """What `extraction.json` holds.

    Attributes:
        key: names all that the rows and their division into shards depend on.
        made_by: what encoded the items; see `Extractor.provenance`.
        count: rows.
        dropped: lines and items without a row.
        words: how many words the texts have, and of how many the encoder has vectors; None where it goes by none.
        cut_texts: how many texts are longer than the encoder reads; None where nobody knows.
        files: digests of the others, once all are there; see `Seal`.
    """

    key: str
    medium: Medium
    dim: int
    made_by: Mapping[str, Any]
    input: Input
    shard_size: int
    batch: int
    device: str
    on_error: OnError
    max_bad_fraction: float
    environment: Mapping[str, Any]
    words: Coverage | None = None
    cut_texts: StrictInt | None = None
    complete: StrictBool = False
    count: int = 0
    dropped: int = 0
    shards: tuple[ShardFile, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def provenance(self) -> dict[str, Any]:
        """How the rows came to be, wherever they lie."""
        return {name: value for name, value in asdict(self).items() if name not in NO_PROVENANCE}


@dataclass(frozen=True)
class Shard:
    """What a shard tells of its rows.

    Attributes:
        dropped: position in the shard's part of the input, and the reason.
    """

    ids: list[str]
    dropped: list[tuple[int, str]]


@dataclass(frozen=True)
class Extraction:
    """A finished extraction; `open_extraction` makes one."""

    path: Path
    header: Header

    def __len__(self) -> int:
        return self.header.count

    @property
    def dim(self) -> int:
        return self.header.dim

    @property
    def medium(self) -> Medium:
        return self.header.medium

    @property
    def seal(self) -> Seal:
        """What vouches for the files."""
        return Seal(self.path, self.header.files, EXTRACT_ANEW)

    def shards(self) -> Iterator[tuple[Sequence[str], Tensor]]:
        """Ids and rows [n, dim], float32, shard by shard.

        Raises:
            DataError: a shard is missing, broken or altered.
        """
        count = 0
        for said in self.header.shards:
            self.seal.check(self.path / said.file)
            shard, features = read_shard(self.path / said.file, self.header.key, self.dim)
            count += len(shard.ids)
            yield shard.ids, features
        if count != len(self):
            raise DataError(f"{self.path}: it holds {count} rows, not the {len(self)} that {HEADER} tells of")

    def load(self) -> tuple[list[str], Tensor]:
        """All ids and rows [n, dim]; raises as `shards` does."""
        ids: list[str] = []
        parts = [torch.empty(0, self.dim)]
        for names, features in self.shards():
            ids += names
            parts.append(features)
        return ids, torch.cat(parts)

    def items(self) -> Iterator[dict[str, str]]:
        """What is known of each row's item: `id`, `text` or `image`, and `label` and `split` where they are known."""
        self.seal.check(self.path / ITEMS)
        return read_lines(self.path / ITEMS, "an item")

    def dropped(self) -> Iterator[dict[str, Any]]:
        """What was left out: the `file`, the `line` or `id`, and the `reason`."""
        if not self.header.dropped:
            return iter(())
        self.seal.check(self.path / DROPPED)
        return read_lines(self.path / DROPPED, "what was left out")


def is_extraction(path: Path) -> bool:
    return (path / HEADER).is_file()


def open_extraction(path: Path) -> Extraction:
    """What `dckt extract` left in a folder.

    Raises:
        DataError: nothing, or no finished extraction.
    """
    header = read_header(path)
    if header is None:
        raise DataError(f"{path}: no extraction ({HEADER} is not there)")
    if not header.complete:
        raise DataError(f"{path}: not a finished extraction; the same dckt extract once more goes on with it")
    return Extraction(path, header)


def read_header(path: Path) -> Header | None:
    """What `extraction.json` holds, or None where there is none.

    Raises:
        DataError: it is no such file, altered or of another format.
    """
    file = path / HEADER
    if not file.exists():
        return None
    header = read_record(file, "the header of an extraction", Header, format=FORMAT, remedy=EXTRACT_ANEW)
    if any(shard.file != Path(shard.file).name for shard in header.shards):
        raise DataError(f"{file}: its shards are no files of the folder")
    return header


def write_header(path: Path, header: Header) -> None:
    write_sealed(path / HEADER, asdict(header))


def write_shard(file: Path, key: str, shard: Shard, features: Tensor) -> None:
    """Writes rows [n, dim] with what is told of them, atomically."""
    save_tensors(file, {"features": features}, {"key": key, **asdict(shard)}, kind=SHARD, format=SHARD_FORMAT)


def read_shard(file: Path, key: str, dim: int) -> tuple[Shard, Tensor]:
    """What a shard tells, and its rows [n, dim].

    Raises:
        DataError: it is missing or broken, or of another extraction.
    """
    tensors, facts = load_tensors(file, kind=SHARD, format=SHARD_FORMAT)
    if facts.pop("key", None) != key:
        raise DataError(f"{file}: of another extraction")
    try:
        shard = TypeAdapter(Shard).validate_python(facts)
    except ValidationError:
        raise DataError(f"{file}: not a whole shard: it does not tell what its rows are of") from None
    features = tensors.get("features", torch.empty(0))
    if features.dtype != torch.float32 or features.shape != (len(shard.ids), dim):
        raise DataError(f"{file}: it holds {list(features.shape)}, not {[len(shard.ids), dim]}")
    return shard, features
