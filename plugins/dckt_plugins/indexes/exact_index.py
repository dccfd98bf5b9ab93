"""The index behind `exact`: the vectors as they were given, by id, in the order in which the ids came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dckt_core.errors import DataError
from dckt_core.files import write_atomically, write_text

CHUNK_ENTRIES = 2**22
"""Query-vector pairs ranked at once: 32 MiB for each float64 array of them."""

IDS, VECTORS = "ids.json", "vectors.safetensors"


class ExactIndex:
    """Nearest neighbours by cosine, on the CPU; computed in float64.

    Vectors of equal cosine come in insertion order; equal vectors count as equal in cosine, and a zero vector has
    cosine 0 to everything. An id that is replaced keeps its place in that order.

    Args:
        dim: width of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._ids: list[str] = []
        self._vectors = torch.empty(0, dim)
        self._units: tuple[Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[str], vectors: Tensor, /) -> None:
        """Adds vectors [n, dim]; an id that is there already is replaced, and of one given twice the last counts.

        Raises:
            ValueError: not one vector of this width for each id, or numbers that are not finite.
        """
        vectors = self._checked(vectors)
        if len(ids) != len(vectors):
            raise ValueError(f"{len(vectors)} vectors for {len(ids)} ids")
        known = {name: row for row, name in enumerate(self._ids)}
        given = {name: row for row, name in enumerate(ids)}
        new = [name for name in given if name not in known]
        old = [name for name in given if name in known]
        self._vectors[[known[name] for name in old]] = vectors[[given[name] for name in old]]
        self._vectors = torch.cat([self._vectors, vectors[[given[name] for name in new]]])
        self._ids += new
        self._units = None

    def remove(self, ids: Sequence[str], /) -> None:
        """Takes ids out.

        Raises:
            KeyError: an id is unknown; then none is taken out.
        """
        gone = set(ids)
        if unknown := sorted(gone.difference(self._ids)):
            raise KeyError(unknown[0])
        kept = [row for row, name in enumerate(self._ids) if name not in gone]
        self._vectors = self._vectors[kept]
        self._ids = [self._ids[row] for row in kept]
        self._units = None

    @torch.no_grad()
    def search(self, queries: Tensor, k: int, /) -> tuple[list[list[str]], Tensor]:
        """Queries [q, dim] to the ids and cosines [q, min(k, size)] of the nearest, best first.

        Memory is O(size), however many the queries.

        Raises:
            ValueError: k < 1, or queries of another width or with numbers that are not finite.
        """
        if k < 1:
            raise ValueError(f"k = {k} must be 1 or more")
        queries = self._checked(queries)
        k = min(k, len(self))
        if k == 0 or len(queries) == 0:
            return [[] for _ in queries], torch.empty(len(queries), k)
        units, place = self._unit_vectors()
        nearest, cosines = [], []
        for rows in torch.split(queries, max(1, CHUNK_ENTRIES // len(self))):
            cosine = (F.normalize(rows.double(), dim=1) @ units.T)[:, place]
            best, order = cosine.sort(dim=1, descending=True, stable=True)
            nearest += [[self._ids[row] for row in found] for found in order[:, :k].tolist()]
            cosines.append(best[:, :k].float())
        return nearest, torch.cat(cosines)

    def save(self, path: Path, /) -> None:
        """Writes `ids.json` and `vectors.safetensors` into a folder, which is made where it is missing."""
        path.mkdir(parents=True, exist_ok=True)
        vectors = {"vectors": self._vectors.contiguous()}
        write_atomically(path / VECTORS, lambda temporary: save_file(vectors, temporary))
        write_text(path / IDS, json.dumps(self._ids, ensure_ascii=False))

    def load(self, path: Path, /) -> None:
        """Reads back what `save` wrote, in place of all that was here.

        Raises:
            DataError: a file is missing or broken, or they do not belong together.
        """
        try:
            ids = json.loads((path / IDS).read_text(encoding="utf-8"))
            vectors = load_file(path / VECTORS)["vectors"]
        except FileNotFoundError as error:
            raise DataError(f"{error.filename or path / VECTORS}: no such file") from None
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise DataError(f"{path}: not a whole index: {error}") from None
        if not isinstance(ids, list) or not all(isinstance(name, str) for name in ids) or len(set(ids)) < len(ids):
            raise DataError(f"{path / IDS}: not a list of ids, each there once")
        if vectors.shape != (len(ids), self._dim) or not torch.isfinite(vectors).all():
            wanted = f"{len(ids)} finite vectors of width {self._dim}"
            raise DataError(f"{path / VECTORS}: expected {wanted}, found a tensor of shape {list(vectors.shape)}")
        self._ids, self._vectors, self._units = ids, vectors.float(), None

    def _unit_vectors(self) -> tuple[Tensor, Tensor]:
        """The different unit vectors [u, dim], float64, and the number among them of each row [size].

        A matrix product may give equal rows cosines that differ in the last bits, so each different vector is compared
        once.
        """
        if self._units is None:
            units, place = torch.unique(F.normalize(self._vectors.double(), dim=1), dim=0, return_inverse=True)
            self._units = units, place
        return self._units

    def _checked(self, vectors: Tensor) -> Tensor:
        if vectors.ndim != 2 or vectors.shape[1] != self._dim:
            raise ValueError(f"vectors {list(vectors.shape)} must be a matrix of width {self._dim}")
        if not torch.isfinite(vectors).all():
            raise ValueError("vectors hold numbers that are not finite")
        return vectors.detach().cpu().float()
