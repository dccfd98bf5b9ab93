"""`assert_index_ok`: the rules of `protocols.Index`, against a comparison with every vector."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from dckt_core.base.rng import generator_for
from dckt_core.contract.guards import INDEX_METHODS, require_methods
from dckt_core.contract.protocols import Index, IndexContext
from dckt_core.contract.specs import IndexSpec
from dckt_core.testing.rules import Subject

DIM = 16
SIZE = 60
QUERIES = 7
K = 5

Vectors = Mapping[str, Tensor]


def assert_index_ok(spec: IndexSpec[Any], options: Any = None, *, recall: float = 1.0, tolerance: float = 1e-4) -> None:
    """Builds an index several times, changes it in all ways, and compares what it finds with the truth.

    Add, replace, remove, search, save and load; the cosines of what it finds, best first; k larger than the index, an
    empty index, no query; vectors of any length; the same answers for the same seed and after loading; it leaves its
    inputs and everything global alone.

    Args:
        options: an instance of `spec.options`; its defaults by default.
        recall: least share of the true neighbours that it must find, for one that approximates. There are 60
            vectors of 16 values.
        tolerance: by how much a cosine may be off, for one that compresses vectors.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
    """
    subject = Subject(spec, "index", options)
    check = _Check(subject, recall, tolerance)
    with subject.leaves_alone(first_build=True):
        check.build()
    with subject.leaves_alone():  # first, since who draws from a global generator breaks the rules below too
        index, stored = check.build(), _vectors(0)
        check.empty(index)
        check.add(index, stored)
        check.finds(index, stored, "after add")
    with subject.leaves_alone():
        check.changes(index, stored)
        check.same_seed()
        check.saved(index, stored)


class _Check:
    def __init__(self, subject: Subject, recall: float, tolerance: float) -> None:
        self.subject, self.require = subject, subject.require
        self.recall, self.tolerance = recall, tolerance

    def build(self) -> Index:
        with self.subject.blamed("build"):
            built: Index = self.subject.spec.build(self.subject.options, IndexContext(dim=DIM, seed=0))
            require_methods("an index", built, *INDEX_METHODS)
        self.length(built, 0, "it is new")
        return built

    def length(self, index: Index, size: int, when: str) -> None:
        with self.subject.blamed("len"):
            found = len(index)
        self.require(found == size, f"its length must be {size} when {when}, not {found}")

    def add(self, index: Index, vectors: Vectors) -> None:
        stacked = torch.stack(list(vectors.values()))
        before = stacked.clone()
        with self.subject.blamed("add"):
            index.add(list(vectors), stacked)
        self.require(torch.equal(before, stacked), "add changes the vectors in place")

    def search(self, index: Index, queries: Tensor, k: int, size: int) -> tuple[list[list[str]], Tensor]:
        """What it finds, well-formed: min(k, size) ids and cosines a query."""
        before, width = queries.clone(), min(k, size)
        case = f"search of {len(queries)} queries for {k} among {size}"
        with self.subject.blamed(case):
            answer = index.search(queries, k)
            ids, cosines = answer
        self.require(torch.equal(before, queries), "search changes the queries in place")
        good = isinstance(cosines, Tensor) and cosines.is_floating_point()
        self.require(good, f"{case} must give cosines as a floating-point tensor")
        shape = (len(queries), width)
        self.require(tuple(cosines.shape) == shape, f"{case} must give cosines {shape}, not {tuple(cosines.shape)}")
        widths = [len(found) for found in ids]
        self.require(widths == [width] * len(queries), f"{case} must give {width} ids a query, not {widths}")
        for found in ids:
            self.require(all(isinstance(name, str) for name in found), f"{case} must give ids as text, not {found!r}")
            self.require(len(set(found)) == len(found), f"{case} gives an id twice")
        return [list(found) for found in ids], cosines.double()

    def finds(self, index: Index, stored: Vectors, when: str) -> None:
        """It finds what a comparison with every vector finds."""
        queries = _queries()
        truth = normalize(queries.double()) @ normalize(torch.stack(list(stored.values())).double()).T
        column = {name: number for number, name in enumerate(stored)}
        self.length(index, len(stored), when)
        for k in (1, K, len(stored) + 3):
            ids, cosines = self.search(index, queries, k, len(stored))
            unknown = {name for found in ids for name in found} - column.keys()
            self.require(not unknown, f"{when} it finds ids that are not in it: {', '.join(sorted(unknown))}")
            true = torch.stack([truth[row, [column[name] for name in found]] for row, found in enumerate(ids)])
            off = float((true - cosines).abs().max())
            self.require(off <= self.tolerance, f"{when} the cosines of what it finds are off by {off:.2g}")
            falling = bool((cosines.diff(dim=1) <= 0).all())
            self.require(falling, f"{when} it must give the best first")
            # By value, since of equal cosines any may come first.
            least = truth.topk(min(k, len(stored)), dim=1).values[:, -1:] - self.tolerance
            hit = float((true >= least).double().mean())
            self.require(hit >= self.recall, f"{when} it finds {hit:.0%} of the nearest {k}, not {self.recall:.0%}")
            (alone,), _ = self.search(index, queries[:1], k, len(stored))
            moved = float((truth[0, [column[name] for name in alone]] - true[0]).abs().max())
            self.require(moved <= self.tolerance, "what it finds for a query must not depend on the others")

    def empty(self, index: Index) -> None:
        self.search(index, _queries(), K, 0)

    def changes(self, index: Index, stored: dict[str, Tensor]) -> None:
        """Replaced, removed, added again; `stored` follows."""
        self.search(index, torch.empty(0, DIM), K, len(stored))
        with self.subject.blamed("add of nothing"):
            index.add([], torch.empty(0, DIM))
        names = list(stored)
        replaced = {names[1]: 3 * stored[names[0]], names[-1]: -stored[names[-1]], "new": torch.ones(DIM)}
        self.add(index, replaced)
        stored |= replaced
        self.finds(index, stored, "after ids were added that were there already")
        removed = [names[0], names[7], "new"]
        with self.subject.blamed("remove"):
            index.remove(removed)
        for name in removed:
            del stored[name]
        self.finds(index, stored, "after remove")
        self.unknown(index, "never added")
        self.unknown(index, names[0])
        self.finds(index, stored, "after remove of an unknown id")
        back = {names[0]: torch.arange(1.0, DIM + 1)}
        self.add(index, back)
        stored |= back
        self.finds(index, stored, "after a removed id was added again")

    def unknown(self, index: Index, name: str) -> None:
        raised: Any = None
        with self.subject.blamed("remove of an id that is not there"):
            try:
                index.remove([name])
            except KeyError as error:
                raised = error
        self.require(raised is not None, "remove of an id that is not there must raise KeyError")

    def same_seed(self) -> None:
        answers = []
        for _ in range(2):
            index, vectors = self.build(), _vectors(1)
            self.add(index, vectors)
            answers.append(self.search(index, _queries(), K, len(vectors)))
        (one, first), (other, second) = answers
        self.require(one == other and torch.equal(first, second), "built twice under one seed it must find the same")

    def saved(self, index: Index, stored: dict[str, Tensor]) -> None:
        """Into a folder that is there, and back into an index that holds something else."""
        expected, cosines = self.search(index, _queries(), K, len(stored))
        with tempfile.TemporaryDirectory() as folder:
            with self.subject.blamed("save"):
                index.save(Path(folder))
            again = self.build()
            self.add(again, {"to be forgotten": torch.ones(DIM)})
            with self.subject.blamed("load"):
                again.load(Path(folder))
        self.finds(again, stored, "after save and load")
        found, again_cosines = self.search(again, _queries(), K, len(stored))
        same = found == expected and torch.equal(again_cosines, cosines)
        self.require(same, "after save and load it must find the same, bit for bit")
        self.changes(again, dict(stored))


def _vectors(seed: int) -> dict[str, Tensor]:
    """Of any length, as vectors of cosines may be."""
    generator = generator_for(seed, "vectors")
    rows = torch.randn(SIZE, DIM, generator=generator) * (0.1 + 10 * torch.rand(SIZE, 1, generator=generator))
    return {f"id {number}": row for number, row in enumerate(rows)}


def _queries() -> Tensor:
    return 5 * torch.randn(QUERIES, DIM, generator=generator_for(0, "queries"))
