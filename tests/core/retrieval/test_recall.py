"""Recall at 10, on an index that forgets a known share of its items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core import IndexSpec
from dckt_core.base.rng import generator_for
from dckt_core.contract.protocols import IndexContext
from dckt_core.contract.registry import Registered
from dckt_core.retrieval import recall
from dckt_core.retrieval.gallery import Gallery
from tests.support.tolerance import SMALL, approx

DIM = 8


class Forgetful:
    """Finds what has a number at or above `first`."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.ids: list[str] = []
        self.rows = torch.empty(0, DIM)

    def __len__(self) -> int:
        return len(self.ids)

    def remove(self, ids: Sequence[str]) -> None:
        raise NotImplementedError

    save = load = remove

    def add(self, ids: Sequence[str], vectors: Tensor) -> None:
        self.ids += ids
        self.rows = torch.cat([self.rows, torch.nn.functional.normalize(vectors)])

    def search(self, queries: Tensor, k: int) -> tuple[list[list[str]], Tensor]:
        cosines = torch.nn.functional.normalize(queries) @ self.rows.T
        cosines[:, : self.first] = -1
        values, places = cosines.topk(min(k, len(self.ids)))
        return [[self.ids[place] for place in row] for row in places.tolist()], values


def gallery(rows: Tensor, first: int) -> Gallery:
    def build(options: Any, context: IndexContext) -> Any:
        return Forgetful(first)

    spec = IndexSpec(name="forgetful", summary="", build=build, api="1.0")
    plugin = Registered(spec, distribution="tests", version="0", entry_point="forgetful")
    made = Gallery("text", plugin, spec.options(), IndexContext(dim=DIM, seed=0))
    made.add([{"id": str(n), "text": ""} for n in range(len(rows))], rows)
    return made


def rows(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, DIM, generator=generator_for(seed, "rows"))


def oracle(stored: Tensor, queries: Tensor, first: int, own: Tensor | None) -> float:
    """The share of the true ten nearest that have a number at or above `first`."""
    shares = []
    for number, query in enumerate(queries):
        cosines = torch.cosine_similarity(query[None], stored)
        if own is not None:
            cosines[own[number]] = -2
        best = cosines.argsort(descending=True)[:10]
        shares.append((best >= first).double().mean().item())
    return sum(shares) / len(shares)


@pytest.mark.parametrize("first", [0, 30, 90, 110])
@pytest.mark.parametrize("chunk", [1, 700, 10**9])
def test_the_share_of_the_nearest_that_are_found(first: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "CHUNK_ENTRIES", chunk)
    stored, queries = rows(120), rows(17, seed=1)
    assert recall.recall(gallery(stored, first), stored, queries) == pytest.approx(oracle(stored, queries, first, None))


@pytest.mark.parametrize("first", [0, 50])
def test_an_item_that_asks_for_itself_is_left_out(first: int) -> None:
    stored = rows(120)
    own = recall.sample(120, generator_for(0, "sample"))[:40]
    found = recall.recall(gallery(stored, first), stored, stored[own], own)
    assert found == pytest.approx(oracle(stored, stored[own], first, own))
    assert (found == 1) == (first == 0)


def test_equal_items_are_as_good_as_each_other() -> None:
    stored = rows(30).repeat(2, 1)
    assert recall.recall(gallery(stored, 0), stored, rows(9, seed=2)) == 1
    half = recall.recall(gallery(stored, 30), stored, rows(9, seed=2))
    assert half == approx(0.5, terms=SMALL), "of each of the five nearest pairs, one is found"


@pytest.mark.parametrize(("count", "own"), [(0, False), (1, True)])
def test_nothing_to_find_is_found(count: int, own: bool) -> None:
    stored = rows(count)
    asked = torch.arange(count) if own else None
    assert recall.recall(gallery(stored, 0), stored, rows(3)[: count or 3], asked) == 1


def test_a_gallery_smaller_than_ten() -> None:
    stored = rows(4)
    assert recall.recall(gallery(stored, 0), stored, rows(3, seed=3)) == 1
    assert recall.recall(gallery(stored, 2), stored, rows(3, seed=3)) == 1, "four are asked for, and four are given"


def test_samples_are_drawn_by_the_generator_and_ascend() -> None:
    first, again = (recall.sample(5000, generator_for(1, "s")) for _ in range(2))
    assert torch.equal(first, again)
    assert len(first) == recall.QUERIES == len(first.unique())
    assert torch.equal(first, first.sort().values)
    assert torch.equal(recall.sample(3, generator_for(1, "s")), torch.arange(3))
