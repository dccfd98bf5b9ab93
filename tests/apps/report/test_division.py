from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dckt_apps.report.division import division, shapley
from dckt_apps.report.material import Seen
from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Pair
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import contents_of
from dckt_core.evaluation.scoring import score_view
from tests.support.tolerance import approx


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_a_share_is_the_mean_over_all_orders(values: list[float]) -> None:
    worth = {frozenset(name for bit, name in enumerate("abc") if n >> bit & 1): value for n, value in enumerate(values)}
    shares = shapley("abc", worth.__getitem__)
    for name in "abc":
        orders = [order[: order.index(name)] for order in permutations("abc")]
        added = [worth[frozenset((*before, name))] - worth[frozenset(before)] for before in orders]
        assert shares[name] == approx(sum(added) / len(added), terms=16)
    assert sum(shares.values()) == approx(worth[frozenset("abc")] - worth[frozenset()], terms=16)


def seen(parts: Sequence[str], labels: torch.Tensor) -> Seen:
    """Pairs under a space of parts that are drawn at random, each two values wide."""
    generator = torch.Generator().manual_seed(0)
    rows = {name: torch.randn(2, len(labels), 2, generator=generator) for name in parts}

    def view(names: Sequence[str]) -> Representation:
        return Representation(*torch.cat([rows[name] for name in names], dim=2))

    pairs = [
        Pair(f"p{n}", Path(f"{n}.png"), f"text {n}", str(label), "test") for n, label in enumerate(labels.tolist())
    ]
    return Seen(view(parts), labels, pairs, contents_of(pairs), None, tuple(parts), view)


@pytest.mark.parametrize("labels", [torch.arange(20) % 4, -torch.ones(20, dtype=torch.int64)])
def test_shares_lead_from_chance_to_the_result(labels: torch.Tensor) -> None:
    shown = seen(["a", "b", "c"], labels)
    found = division(shown, 0.25)
    assert found.result == approx(score_view(shown.view, labels, shown.pairs).mean, terms=100)
    assert found.chance + sum(found.shares.values()) == approx(found.result, terms=100)
    steps = found.steps()
    assert [name for name, _, _ in steps] == ["a", "b", "c"]
    assert steps[0][1] == 0.25 and steps[1][1] == approx(0.25 + found.shares["a"])


@pytest.mark.parametrize("count", [1, 9])
def test_one_part_is_not_divided_and_nine_are_too_many(count: int) -> None:
    with pytest.raises(DataError, match=f"the result has {count} parts"):
        division(seen("abcdefghi"[:count], torch.arange(6) % 2), 0.5)
