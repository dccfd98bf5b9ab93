"""Features that say nothing, and features that two splits have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dckt_core.contract.pairs import Pair, PairSet
from dckt_core.data.domain import Domain, domain_of
from dckt_core.data.findings import Finding
from dckt_core.data.row_health import examine_rows


def domain(role: str, rows: dict[str, Tensor]) -> Domain:
    """A domain whose pair i of a split has row i of that split as both features."""
    pairs, of = [], {}
    for split, block in rows.items():
        for number, row in enumerate(block):
            key = f"{role}-{split}-{number}"
            pairs.append(Pair(key, Path(key), key, "x", split))
            of[key] = row

    def inputs(medium: str, some) -> Tensor:
        width = next(iter(rows.values())).shape[1]
        return torch.stack([of[pair.id] for pair in some]) if some else torch.empty(0, width)

    pair_set = PairSet(role, role, pairs, {"x": ()})
    return domain_of(role, pair_set, list(rows), inputs)


@pytest.fixture
def rows() -> dict[str, dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    sizes = {"source": {"train": 12}, "target": {"train": 10, "val": 5, "test": 6}}
    return {
        role: {split: torch.randn(count, 4, generator=generator) for split, count in splits.items()}
        for role, splits in sizes.items()
    }


def kinds(rows: dict[str, dict[str, Tensor]], by_id: tuple[str, ...] = ()) -> list[tuple[str, Finding]]:
    found = examine_rows({role: domain(role, splits) for role, splits in rows.items()}, by_id)
    return [(role, finding) for role, findings in found.items() for finding in findings]


def test_of_good_rows_there_is_nothing_to_say(rows):
    assert kinds(rows, ("image", "text")) == []
    assert kinds(rows) == []


def test_rows_that_are_all_zero(rows):
    rows["target"]["test"][2] = 0
    rows["target"]["train"][1] = -0.0
    (role, one), (_, texts) = kinds(rows)
    assert (role, one.kind, one.count, one.of) == ("target", "zero rows", 2, 21)
    assert texts.what == "2 of 21 rows of text features are all zero"
    assert one.places == ("'target-train-1'", "'target-test-2'")


def test_features_that_are_constant(rows):
    rows["target"]["train"] = torch.randn(100, 4, generator=torch.Generator().manual_seed(1))
    for block in rows["target"].values():
        block[:, 3] = 0.5
    (role, one), _ = kinds(rows)
    assert (role, one.kind, one.count, one.of, one.grave) == ("target", "constant features", 1, 4, False)


@pytest.mark.parametrize("role", ["source", "target"])
def test_equal_image_rows_of_two_splits_are_a_leak(rows, role):
    rows["target"]["test"][4] = rows[role]["train"][0]
    ((where, one),) = kinds(rows)
    assert (where, one.kind, one.count, one.of, one.grave) == ("target", "shared features", 1, 6, True)
    assert one.places == ("'target-test-4'",)
    assert one.what.endswith("training item of the source" if role == "source" else "training item")
    (_, again), (_, texts) = kinds(rows, ("text",))
    assert (again.what, texts.grave) == (one.what, False)
