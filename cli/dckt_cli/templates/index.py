"""`my-plugin`: a nearest-neighbour index for dckt. As it stands, one matrix product; put your own structure here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dckt_core import IndexSpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import IndexContext

FILE, KIND, FORMAT = "vectors.safetensors", "matrix of vectors", 1


@hookimpl
def dckt_indexes() -> list[IndexSpec[Any]]:
    return [IndexSpec(name="my-plugin", summary="one matrix product", build=MatrixIndex, api="1.0")]


class MatrixIndex:
    """Vectors of unit length by id."""

    def __init__(self, options: object, context: IndexContext) -> None:
        self.dim = context.dim
        self.rows: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Sequence[str], vectors: Tensor, /) -> None:
        """Adds vectors [n, dim]; an id that is there already is replaced."""
        from torch.nn.functional import normalize

        self.rows |= dict(zip(ids, normalize(vectors.float(), dim=1), strict=True))

    def remove(self, ids: Sequence[str], /) -> None:
        """Takes ids out; an unknown id is a KeyError."""
        for name in ids:
            del self.rows[name]

    def search(self, queries: Tensor, k: int, /) -> tuple[list[list[str]], Tensor]:
        """Queries [q, dim] to the ids and cosines [q, min(k, size)] of the nearest, best first."""
        import torch
        from torch.nn.functional import normalize

        names = list(self.rows)
        stored = torch.stack(list(self.rows.values())) if names else torch.empty(0, self.dim)
        cosines, found = (normalize(queries.float(), dim=1) @ stored.T).topk(min(k, len(names)))
        return [[names[row] for row in rows] for rows in found.tolist()], cosines

    def save(self, path: Path, /) -> None:
        """Writes into a folder that is there."""
        from dckt_core import save_tensors

        save_tensors(path / FILE, self.rows, kind=KIND, format=FORMAT)

    def load(self, path: Path, /) -> None:
        """Takes the place of what is here."""
        from dckt_core import load_tensors

        self.rows, _ = load_tensors(path / FILE, kind=KIND, format=FORMAT)
