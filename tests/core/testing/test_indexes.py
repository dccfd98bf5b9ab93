"""`assert_index_ok` passes what keeps the contract, and names the rule that a broken index breaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from dckt_core import IndexSpec
from dckt_core.testing import assert_index_ok


class Plain:
    """One matrix product over a dict of vectors."""

    def __init__(self, options: Any = None, context: Any = None) -> None:
        self.context = context
        self.rows: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Sequence[str], vectors: Tensor) -> None:
        self.rows |= dict(zip(ids, normalize(vectors.float()), strict=True))

    def remove(self, ids: Sequence[str]) -> None:
        for name in ids:
            del self.rows[name]

    def cosines(self, queries: Tensor) -> Tensor:
        stored = torch.stack(list(self.rows.values())) if self.rows else torch.empty(0, queries.shape[1])
        return normalize(queries.float()) @ stored.T

    def search(self, queries: Tensor, k: int) -> tuple[list[list[str]], Tensor]:
        names = list(self.rows)
        values, found = self.cosines(queries).topk(min(k, len(names)))
        return [[names[row] for row in rows] for rows in found.tolist()], values

    def save(self, path: Path) -> None:
        torch.save(self.rows, path / "rows.pt")

    def load(self, path: Path) -> None:
        self.rows = torch.load(path / "rows.pt", weights_only=True)


def spec(build: Callable[[Any, Any], Any]) -> IndexSpec[Any]:
    return IndexSpec(name="mine", summary="a test", build=build, api="1.0")


def changed(**methods: Any) -> type[Plain]:
    """The plain index with other methods."""
    return type("Changed", (Plain,), methods)


def answering(change: Callable[[list[list[str]], Tensor], Any]) -> type[Plain]:
    """The plain index with other answers."""
    return changed(search=lambda self, queries, k: change(*Plain.search(self, queries, k)))


def no_unit_length(self: Plain, ids: Sequence[str], vectors: Tensor) -> None:
    self.rows |= dict(zip(ids, vectors, strict=True))


def keeps_the_first(self: Plain, ids: Sequence[str], vectors: Tensor) -> None:
    self.rows = dict(zip(ids, normalize(vectors), strict=True)) | self.rows


def in_place(self: Plain, ids: Sequence[str], vectors: Tensor) -> None:
    Plain.add(self, ids, vectors.div_(vectors.norm(dim=1, keepdim=True)))


def forgives(self: Plain, ids: Sequence[str]) -> None:
    for name in ids:
        self.rows.pop(name, None)


def raises_another(self: Plain, ids: Sequence[str]) -> None:
    if not self.rows.keys() >= set(ids):
        raise ValueError("unknown")
    Plain.remove(self, ids)


def removes_all(self: Plain, ids: Sequence[str]) -> None:
    if not self.rows.keys() >= set(ids):
        self.rows.clear()
    Plain.remove(self, ids)


def no_width_when_empty(self: Plain, queries: Tensor, k: int) -> Any:
    return Plain.search(self, queries, k) if self.rows else ([], torch.empty(0, 0))


def fails_when_empty(self: Plain, queries: Tensor, k: int) -> Any:
    torch.stack(list(self.rows.values()))
    return Plain.search(self, queries, k)


def always_k(self: Plain, queries: Tensor, k: int) -> Any:
    ids, cosines = Plain.search(self, queries, k)
    missing = k - cosines.shape[1]
    return ids, torch.nn.functional.pad(cosines, (0, missing)) if self.rows else cosines


def centred(self: Plain, queries: Tensor, k: int) -> Any:
    return Plain.search(self, queries if len(queries) < 2 else queries - queries.mean(dim=0), k)


def half_of_it(self: Plain, queries: Tensor, k: int) -> Any:
    """As an approximate index: looks at every other vector where there are enough."""
    if len(self.rows) < 2 * k + 1:
        return Plain.search(self, queries, k)
    part = Plain()
    part.rows = dict(list(self.rows.items())[::2])
    return part.search(queries, k)


def merges(self: Plain, path: Path) -> None:
    self.rows |= torch.load(path / "rows.pt", weights_only=True)


def rounds(self: Plain, path: Path) -> None:
    Plain.load(self, path)
    self.rows = {name: row.half().float() for name, row in self.rows.items()}


def draws(self: Plain, ids: Sequence[str], vectors: Tensor) -> None:
    torch.rand(1)
    Plain.add(self, ids, vectors)


NOISE = iter(range(10**6))

BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda options, context: None, "build must return an index, and NoneType has no method add"),
    "no save": (changed(save=None), "build must return an index, and Changed has no method save"),
    "build raises": (lambda options, context: context.width, "build raised AttributeError"),
    "not empty": (changed(__len__=lambda self: 1), "its length must be 0 when it is new, not 1"),
    "fails when empty": (changed(search=fails_when_empty), "search of 7 queries for 5 among 0 raised RuntimeError"),
    "no rows when empty": (changed(search=no_width_when_empty), r"must give cosines \(7, 0\), not \(0, 0\)"),
    "no cosines": (answering(lambda ids, cosines: (ids, cosines.tolist())), "cosines as a floating-point tensor"),
    "one answer": (answering(lambda ids, cosines: ids), "raised ValueError|must give cosines as a floating-point"),
    "wider": (
        changed(search=always_k),
        r"search of 7 queries for 63 among 60 must give cosines \(7, 60\), not \(7, 63",
    ),
    "fewer ids": (answering(lambda ids, cosines: ([found[:3] for found in ids], cosines)), "must give 5 ids a query"),
    "numbers": (
        answering(lambda ids, cosines: ([list(range(len(found))) for found in ids], cosines)),
        "must give ids as text",
    ),
    "twice": (answering(lambda ids, cosines: ([found[:1] * len(found) for found in ids], cosines)), "an id twice"),
    "unknown": (
        answering(lambda ids, cosines: ([[f"{name}?" for name in found] for found in ids], cosines)),
        "after add it finds ids that are not in it",
    ),
    "no unit length": (changed(add=no_unit_length), "after add the cosines of what it finds are off by"),
    "worst first": (
        answering(lambda ids, cosines: ([found[::-1] for found in ids], cosines.flip(1))),
        "after add it must give the best first",
    ),
    "approximate": (changed(search=half_of_it), "after add it finds [0-9]+% of the nearest 1, not 100%"),
    "looks about": (changed(search=centred), "after add the cosines|what it finds for a query must not depend"),
    "in place": (changed(add=in_place), "add changes the vectors in place"),
    "queries in place": (
        changed(search=lambda self, queries, k: Plain.search(self, queries.mul_(2), k)),
        "search changes the queries in place",
    ),
    "not replaced": (changed(add=keeps_the_first), "after ids were added that were there already .* off by"),
    "not removed": (changed(remove=lambda self, ids: None), "its length must be 58 when after remove, not 61"),
    "forgives": (changed(remove=forgives), "remove of an id that is not there must raise KeyError"),
    "another error": (changed(remove=raises_another), "remove of an id that is not there raised ValueError: unknown"),
    "removes all": (changed(remove=removes_all), "its length must be 58 when after remove of an unknown id, not 0"),
    "save raises": (changed(save=lambda self, path: 1 / 0), "save raised ZeroDivisionError"),
    "merges": (changed(load=merges), "when after save and load"),
    "rounds": (changed(load=rounds), "after save and load it must find the same, bit for bit|after save and load the "),
    "global draws": (changed(add=draws), "the global random generator of torch"),
    "own seed": (
        answering(lambda ids, cosines: (ids, cosines - 1e-6 * (next(NOISE) % 7))),
        "built twice under one seed it must find the same",
    ),
}


def test_a_good_one_passes() -> None:
    assert_index_ok(spec(Plain))


def test_an_approximate_one_passes_where_that_is_said() -> None:
    assert_index_ok(spec(changed(search=half_of_it)), recall=0.2)
    off = answering(lambda ids, cosines: (ids, cosines + 0.01))
    assert_index_ok(spec(off), tolerance=0.02)
    with pytest.raises(AssertionError, match="after add the cosines of what it finds are off by 0.01"):
        assert_index_ok(spec(off))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    build, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^index 'mine': .*({rule})"):
        assert_index_ok(spec(build))
