"""What approximate indexes share. A library's structure proposes rows; ids, vectors and cosines are `exact`'s.

So the cosines of what is found are exact and ids can be replaced and removed whatever the library: the structure is
built anew, at the next search, once rows have moved or it has outgrown what it learnt. It costs the memory of the
vectors twice.

A structure is read back by machine code that trusts it: a few bytes changed end a process. So one that was not made
here is built anew from the vectors, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from torch import Tensor

from dckt_core import DataError, load_tensors, logger, made_here, own_tag, save_tensors
from dckt_plugins.indexes.exact import ExactIndex

STRUCTURE, KIND, FORMAT = "structure.safetensors", "structure of an index", 1

AT_ONCE = 1024
"""Vectors that go into a structure in one call."""

Rows = npt.NDArray[np.float32]


class Structure(Protocol):
    """A library's index over rows that are numbered as they come."""

    def add(self, vectors: Rows, /) -> None:
        """More rows [n, dim], of unit length."""
        ...

    def propose(self, queries: Rows, k: int, /) -> npt.NDArray[np.int64]:
        """Rows [q, k] that may be the nearest; -1 where it finds no more."""
        ...

    def outgrown(self, size: int, /) -> bool:
        """Whether one that is made of as many vectors would differ so much that it pays."""
        ...

    def to_bytes(self) -> npt.NDArray[np.uint8]:
        """Itself, for `read` of the same library."""
        ...


class ApproximateIndex:
    """An index of width dim that compares queries with what a structure proposes.

    Args:
        make: a structure for vectors [n, dim], which it may learn from; they are added afterwards.
        read: a structure from its bytes.
        settings: names library and options; a stored structure of others is built anew.
    """

    def __init__(
        self,
        dim: int,
        *,
        make: Callable[[Rows], Structure],
        read: Callable[[npt.NDArray[np.uint8]], Structure],
        settings: str,
    ) -> None:
        self._stored = ExactIndex(dim)
        self._make, self._read, self._settings = make, read, settings
        self._structure: Structure | None = None
        self._inside = 0

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, ids: Sequence[str], vectors: Tensor, /) -> None:
        """As `ExactIndex.add`."""
        size = len(self)
        self._stored.add(ids, vectors)
        if len(self) < size + len(ids):  # some took another's place
            self._structure = None

    def remove(self, ids: Sequence[str], /) -> None:
        """As `ExactIndex.remove`."""
        self._stored.remove(ids)
        if ids:
            self._structure = None

    def search(self, queries: Tensor, k: int, /) -> tuple[list[list[str]], Tensor]:
        """As `ExactIndex.search`, but that a nearest neighbour may be missed."""
        if len(self) == 0 or len(queries) == 0 or k < 1:
            return self._stored.search(queries, k)
        width = min(k, len(self))
        structure = self._up_to_date()
        rows = torch.from_numpy(structure.propose(_array(queries), width))
        names, cosines = self._stored.rank(queries, rows.clamp_min(0), width)
        for query in (rows < 0).any(dim=1).nonzero().flatten().tolist():  # it found fewer than there are
            (names[query],), cosines[query : query + 1] = self._stored.search(queries[query : query + 1], width)
        return names, cosines

    def stored(self) -> tuple[list[str], Tensor]:
        """As `ExactIndex.stored`."""
        return self._stored.stored()

    def save(self, path: Path, /) -> None:
        """As `ExactIndex.save`, and the structure beside it."""
        self._stored.save(path)
        if len(self):
            content, facts = self._up_to_date().to_bytes(), self._facts()
            said = facts | {"made": own_tag(json.dumps(facts, sort_keys=True), content.data)}
            save_tensors(path / STRUCTURE, {"bytes": torch.from_numpy(content)}, said, kind=KIND, format=FORMAT)

    def load(self, path: Path, /) -> None:
        """As `ExactIndex.load`. A structure that is missing, broken, of others or not made here is built anew."""
        self._stored.load(path)
        self._structure = None
        if len(self) == 0:
            return
        try:
            tensors, said = load_tensors(path / STRUCTURE, kind=KIND, format=FORMAT)
            tag, facts, content = said.pop("made", None), self._facts(), tensors["bytes"].numpy()
            if said != facts:
                raise DataError(f"{path / STRUCTURE}: of other vectors or settings")
            if not made_here(tag, json.dumps(facts, sort_keys=True), content.data):
                raise DataError(f"{path / STRUCTURE}: not made here by this user (DCKT_TRUST_INDEXES=1 takes it)")
            self._structure, self._inside = self._read(content), len(self)
        except DataError as error:
            logger.warning("%s; the structure is built anew", error)
        except (KeyError, RuntimeError, ValueError) as error:  # what libraries raise that read nonsense
            logger.warning("%s: %s; the structure is built anew", path / STRUCTURE, " ".join(str(error).split()))

    def _up_to_date(self) -> Structure:
        vectors = self._stored.vectors.numpy()
        if self._structure is None or self._structure.outgrown(len(vectors)):
            self._structure, self._inside = self._make(vectors), 0
        if self._inside < len(vectors):
            # A library's call is not broken off by a signal, so none takes long.
            for start in range(self._inside, len(vectors), AT_ONCE):
                self._structure.add(vectors[start : start + AT_ONCE])
            self._inside = len(vectors)
        return self._structure

    def _facts(self) -> dict[str, str]:
        """What a stored structure must be of."""
        vectors = self._stored.vectors.contiguous().reshape(-1).view(torch.uint8).numpy()
        return {"settings": self._settings, "vectors": xxhash.xxh3_128_hexdigest(vectors.data)}


def settings(**values: object) -> str:
    """Options by name, as text."""
    return json.dumps(values, sort_keys=True)


def _array(queries: Tensor) -> Rows:
    unit: Rows = torch.nn.functional.normalize(queries.detach().cpu().double(), dim=1).float().numpy()
    return unit
