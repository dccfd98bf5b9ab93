"""`exact`: nearest neighbours by cosine, in bounded memory, with a stated order of ties: equal cosines as inserted.

A float32 matrix product is fast, but its last bits depend on where a row stands, so that equal vectors need not tie.
Hence two steps: the product finds every vector that rounding could have cost its place, and those alone are compared
anew in float64, each by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import DataError, IndexContext, NoOptions, load_tensors, save_tensors

QUERY_CHUNK, VECTOR_CHUNK = 64, 65536
"""Queries and vectors compared at once: 16 MiB of cosines, whatever the size of the index."""

FEW = 8
"""So many queries and fewer are multiplied from the other side, which is up to three times as fast."""

FILE, KIND, FORMAT = "vectors.safetensors", "index of vectors", 1


def build(options: NoOptions, context: IndexContext) -> ExactIndex:
    return ExactIndex(context.dim)


class ExactIndex:
    """Vectors of width dim by id, kept as float32 of unit length; a zero vector has cosine 0 to everything."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._parts: list[Tensor] = []

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[str], vectors: Tensor, /) -> None:
        """Adds vectors [n, dim]. An id that is there already keeps its place and gets the new vector.

        Raises:
            DataError: a vector is not finite.
            ValueError: the shape is not [n, dim].
        """
        unit = self._unit(vectors, len(ids)).float()
        last = {id_: row for row, id_ in enumerate(ids)}
        known = [id_ for id_ in last if id_ in self._rows]
        if known:
            places = [self._rows[id_] for id_ in known]
            self.vectors[places] = unit[[last[id_] for id_ in known]]
        new = [id_ for id_ in last if id_ not in self._rows]
        self._rows.update({id_: len(self) + offset for offset, id_ in enumerate(new)})
        self._ids += new
        self._parts.append(unit[[last[id_] for id_ in new]])

    def remove(self, ids: Sequence[str], /) -> None:
        """Takes ids out, the others keep their order.

        Raises:
            KeyError: an id is not there; then all stay.
        """
        gone = {self._rows[id_] for id_ in ids}
        stays = [row not in gone for row in range(len(self))]
        self._parts = [self.vectors[torch.tensor(stays, dtype=torch.bool)]]
        self._name([id_ for row, id_ in enumerate(self._ids) if row not in gone])

    def search(self, queries: Tensor, k: int, /) -> tuple[list[list[str]], Tensor]:
        """Queries [q, dim] to the ids and cosines [q, min(k, size)] of the nearest, best first, float64.

        Raises:
            DataError: a query is not finite.
            ValueError: the shape is not [q, dim], or k < 1.
        """
        if k < 1:
            raise ValueError(f"k = {k} must be 1 or more")
        unit = self._unit(queries, len(queries))
        width = min(k, len(self))
        if width == 0:
            return [[] for _ in queries], torch.empty(len(queries), 0, dtype=torch.float64)
        found = [pair for chunk in torch.split(unit, QUERY_CHUNK) for pair in self._nearest(chunk, width)]
        names = [[self._ids[row] for row in rows.tolist()] for rows, _ in found]
        return names, torch.cat([cosines for _, cosines in found] or [unit[:0]]).reshape(-1, width)

    def rank(self, queries: Tensor, rows: Tensor, k: int) -> tuple[list[list[str]], Tensor]:
        """The best k of a few rows a query, [q, m >= k], as `search` gives them; queries [q, dim] as there."""
        unit, names, cosines = self._unit(queries, len(queries)), [], []
        for query, near in zip(unit, rows, strict=True):
            exact = (self.vectors[near].double() * query).sum(dim=1)
            order = exact.argsort(descending=True, stable=True)[:k]
            names.append([self._ids[row] for row in near[order].tolist()])
            cosines.append(exact[order])
        return names, torch.stack(cosines) if cosines else unit.new_empty(0, k)

    def stored(self) -> tuple[list[str], Tensor]:
        """All ids and their unit vectors [n, dim], as inserted."""
        return list(self._ids), self.vectors

    def save(self, path: Path, /) -> None:
        """Writes `vectors.safetensors` into a folder, which is made if need be."""
        path.mkdir(parents=True, exist_ok=True)
        names = [id_.encode("utf-8", "surrogatepass") for id_ in self._ids]
        tensors = {
            "vectors": self.vectors,
            "ids": torch.from_numpy(np.frombuffer(b"".join(names), np.uint8).copy()),  # more than a header has room for
            "ends": torch.tensor([len(name) for name in names], dtype=torch.int64).cumsum(0),
        }
        save_tensors(path / FILE, tensors, kind=KIND, format=FORMAT)

    def load(self, path: Path, /) -> None:
        """Takes the place of what is here.

        Raises:
            DataError: the file is missing or broken, or the width is another one.
        """
        file = path / FILE
        tensors, _ = load_tensors(file, kind=KIND, format=FORMAT)
        try:
            vectors, names = tensors["vectors"], tensors["ids"].numpy().tobytes()
            places = pairwise([0, *tensors["ends"].tolist()])
            ids = [names[start:end].decode("utf-8", "surrogatepass") for start, end in places]
        except (KeyError, ValueError, TypeError) as error:
            raise DataError(f"{file}: not a whole {KIND}: {' '.join(str(error).split())}") from None
        if vectors.ndim == 2 and vectors.shape[1] != self.dim:
            raise DataError(f"{file}: its vectors have {vectors.shape[1]} values, not {self.dim}")
        shape = (len(set(ids)), self.dim)
        if vectors.dtype != torch.float32 or vectors.shape != shape or not torch.isfinite(vectors).all():
            raise DataError(f"{file}: it holds something else than finite vectors with an id each")
        self._name(ids)
        self._parts = [vectors]

    def _name(self, ids: list[str]) -> None:
        self._ids = ids
        self._rows = {id_: row for row, id_ in enumerate(ids)}

    def _nearest(self, unit: Tensor, k: int) -> list[tuple[Tensor, Tensor]]:
        """Rows and cosines [k] of the nearest for each of a few queries [q, dim], float64 of unit length."""
        # The product of two float32 vectors of unit length is off by (dim + 2) 2^-24 at most; so may the k-th best be.
        slack = 2 * (self.dim + 2) * 2.0**-24
        best = [(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64))] * len(unit)
        least = torch.full((len(unit),), -torch.inf)  # the k-th best so far, where there are as many
        queries = unit.float()
        for start in range(0, len(self), VECTOR_CHUNK):
            vectors = self.vectors[start : start + VECTOR_CHUNK]
            rough = _products(queries, vectors)
            top = rough.topk(min(k, len(vectors))).values
            floor = top[:, -1].maximum(least) - slack
            for query in (top[:, 0] >= floor).nonzero().flatten().tolist():
                near = (rough[query] >= floor[query]).nonzero().squeeze(1)
                exact = (vectors[near].double() * unit[query]).sum(dim=1)
                rows, cosines = best[query]
                rows, cosines = torch.cat([rows, near + start]), torch.cat([cosines, exact])
                order = cosines.argsort(descending=True, stable=True)[:k]
                best[query] = rows[order], cosines[order]
                if len(order) == k:
                    least[query] = cosines[order[-1]]
        return best

    @property
    def vectors(self) -> Tensor:
        """All vectors [size, dim] in one piece; putting the pieces together waits until somebody looks."""
        if len(self._parts) != 1:
            self._parts = [torch.cat([torch.empty(0, self.dim), *self._parts])]
        return self._parts[0]

    def _unit(self, vectors: Tensor, count: int) -> Tensor:
        if vectors.shape != (count, self.dim):
            raise ValueError(f"vectors of shape {list(vectors.shape)} must be [{count}, {self.dim}]")
        if not torch.isfinite(vectors).all():
            raise DataError("a vector holds numbers that are not finite: it has no neighbours")
        return F.normalize(vectors.detach().cpu().double(), dim=1)


def _products(queries: Tensor, vectors: Tensor) -> Tensor:
    """Queries [q, dim] times vectors [n, dim], [q, n]. Two queries take half as long as one, which MKL multiplies by
    another routine.
    """
    if len(queries) > FEW:
        return queries @ vectors.T
    two_or_more = queries.repeat(2, 1) if len(queries) == 1 else queries
    return (vectors @ two_or_more.T)[:, : len(queries)].T.contiguous()
