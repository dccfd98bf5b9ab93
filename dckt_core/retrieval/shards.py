"""The folder that an extraction fills.

    extraction.json             what made the rows and of what: encoder or run, weights, input, versions, shards
    shard-00000.safetensors     `features` [n, dim] float32; `shard` in its metadata is JSON: the ids, what was
                                dropped, a checksum
    items.jsonl                 what is known of each row's item, in the order of the rows
    dropped.jsonl               what `--on-error skip` left out, with the reason

A shard is whole or not there. `extraction.json` says `"complete": true` once all the others are there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dckt_core.base.errors import DataError
from dckt_core.contract.specs import Modality
from dckt_core.io.files import write_atomically

FORMAT = 1
HEADER, ITEMS, DROPPED = "extraction.json", "items.jsonl", "dropped.jsonl"


@dataclass(frozen=True)
class Shard:
    """Rows that lie in one file.

    Attributes:
        dropped: position in the input, and the reason.
        sha256: of the features' bytes.
    """

    file: Path
    ids: Sequence[str]
    dropped: Sequence[tuple[int, str]]
    sha256: str


@dataclass(frozen=True)
class Extraction:
    """A finished extraction; `open_extraction` makes one.

    Attributes:
        header: what `extraction.json` holds.
    """

    path: Path
    header: Mapping[str, Any]

    def __len__(self) -> int:
        return int(self.header["count"])

    @property
    def dim(self) -> int:
        return int(self.header["dim"])

    @property
    def medium(self) -> Modality:
        return "image" if self.header["medium"] == "image" else "text"

    def shards(self) -> Iterator[tuple[Sequence[str], Tensor]]:
        """Ids and rows [n, dim], float32, shard by shard.

        Raises:
            DataError: a shard is missing or broken.
        """
        count = 0
        for said in self.header["shards"]:
            file = self.path / said["file"]
            try:
                shard = read_shard(file, self.header["key"])
            except FileNotFoundError:
                raise DataError(f"{file}: no such file") from None
            count += len(shard.ids)
            yield shard.ids, _features(shard, self.dim)
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
        file = self.path / ITEMS
        try:
            with file.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    item = json.loads(line)
                    if not isinstance(item, dict):
                        raise DataError(f"{file}:{number}: not a JSON object")
                    yield item
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'not JSON'}") from None


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
    if not header["complete"]:
        raise DataError(f"{path}: not a finished extraction; the same dckt extract once more goes on with it")
    return Extraction(path, header)


def read_header(path: Path) -> dict[str, Any] | None:
    """What `extraction.json` holds, or None where there is none.

    Raises:
        DataError: it is no such file, or of another format.
    """
    file = path / HEADER
    try:
        header = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise DataError(f"{file}: not the header of an extraction") from None
    if isinstance(header, dict) and isinstance(header.get("format"), int) and header["format"] != FORMAT:
        raise DataError(f"{file}: format {header['format']}, and this dckt reads {FORMAT}")
    kinds: dict[str, type] = {"format": int, "key": str, "complete": bool, "medium": str, "dim": int, "count": int}
    kinds |= {"made_by": dict, "input": dict, "shards": list}
    if not isinstance(header, dict) or not all(isinstance(header.get(name), kind) for name, kind in kinds.items()):
        raise DataError(f"{file}: not the header of an extraction")
    if header["medium"] not in get_args(Modality) or not isinstance(header["input"].get("root"), str):
        raise DataError(f"{file}: not the header of an extraction")
    if not all(isinstance(shard, dict) and _is_plain(shard.get("file")) for shard in header["shards"]):
        raise DataError(f"{file}: its shards are no files of the folder")
    return header


def write_shard(file: Path, key: str, ids: Sequence[str], features: Tensor, dropped: Sequence[tuple[int, str]]) -> None:
    """Writes rows [n, dim] with their ids, atomically."""
    said = {"key": key, "ids": list(ids), "dropped": list(dropped), "sha256": _checksum(features)}
    metadata = {"shard": json.dumps(said, ensure_ascii=False)}  # one entry: safetensors writes several in any order
    write_atomically(file, lambda part: save_file({"features": features.contiguous()}, part, metadata=metadata))


def read_shard(file: Path, key: str) -> Shard:
    """All of a shard but its features.

    Raises:
        FileNotFoundError: it is not there.
        DataError: it is broken, or of another extraction.
    """
    if not file.is_file():
        raise FileNotFoundError(file)
    try:
        with safe_open(file, framework="pt") as stored:
            said = json.loads((stored.metadata() or {})["shard"])
        if said["key"] != key:
            raise DataError(f"{file}: of another extraction")
        ids, dropped = [str(id_) for id_ in said["ids"]], [(int(n), str(reason)) for n, reason in said["dropped"]]
        return Shard(file, ids, dropped, said["sha256"])
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{file}: not a whole shard: {' '.join(str(error).split())}") from None


def _features(shard: Shard, dim: int) -> Tensor:
    try:
        with safe_open(shard.file, framework="pt") as stored:
            features: Tensor = stored.get_tensor("features")
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{shard.file}: not a whole shard: {' '.join(str(error).split())}") from None
    if features.dtype != torch.float32 or features.shape != (len(shard.ids), dim):
        raise DataError(f"{shard.file}: it holds {list(features.shape)}, not {[len(shard.ids), dim]}")
    if _checksum(features) != shard.sha256:
        raise DataError(f"{shard.file}: its checksum does not fit")
    return features


def _checksum(features: Tensor) -> str:
    return hashlib.sha256(features.contiguous().reshape(-1).numpy().data).hexdigest()


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and name == Path(name).name
