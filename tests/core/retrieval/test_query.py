from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dckt_core.base.errors import ArgumentError, UsageError
from dckt_core.retrieval.query import Joined, Query, join, wanted_by
from tests.support.tolerance import assert_same

DOG, SNOW, PICTURE = Query(text="dog"), Query(text="snow"), Query(image=Path("a.png"))


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.5), (1.0, -0.5), (1e300, 1e300), (1e-300, 2e-300)])
def test_an_item_ranks_by_the_weighted_sum_of_its_cosines(weights: tuple[float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    rows, items = 5 * torch.randn(2, 8, generator=generator), F.normalize(torch.randn(20, 8, generator=generator))
    joined = Joined((DOG, SNOW), weights).row(rows)
    each = F.normalize(rows.double(), dim=1) @ items.double().T
    total = each[0] * (weights[0] / abs(weights[1])) + each[1] * math.copysign(1, weights[1])
    found = items.double() @ joined
    assert found.argsort().tolist() == total.argsort().tolist()
    assert_same(found, total * (found.norm() / total.norm()), terms=16)
    assert_same(joined.norm(), torch.tensor(1.0, dtype=torch.float64), terms=8)


def test_queries_that_cancel_each_other_out_look_for_nothing() -> None:
    row = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    for rows, weights in ((torch.cat([row, 3 * row]), (1.0, -1.0)), (torch.zeros(2, 8), (1.0, 1.0))):
        with pytest.raises(ArgumentError, match="cancel each other out"):
            Joined((DOG, DOG), weights).row(rows)


@pytest.mark.parametrize("weight", [0.0, math.nan, math.inf, -math.inf])
def test_weights_are_finite_and_weigh_something(weight: float) -> None:
    with pytest.raises(ArgumentError, match="is no finite number other than 0"):
        join([DOG, SNOW], [1.0, weight])


def test_one_query_needs_no_weight_and_none_is_no_query() -> None:
    assert join([DOG]) is DOG
    assert join([DOG, PICTURE]) == Joined((DOG, PICTURE), (1.0, 1.0))
    for queries, weights, said in (
        ([], [], "nothing to look for"),
        ([DOG], [2.0], "two queries or more"),
        ([DOG, SNOW], [2.0], "weights: 1 for 2 queries"),
    ):
        with pytest.raises(UsageError, match=said):
            join(queries, weights)


def test_what_is_found_where_nobody_says() -> None:
    text, image = Query(like="a", of="text"), Query(like="a", of="image")
    for queries, medium in (
        ([DOG, SNOW], "image"),
        ([PICTURE], "text"),
        ([DOG, PICTURE], "image"),
        ([text], "text"),
        ([image], "image"),
        ([image, PICTURE], "text"),
        ([text, image], "image"),
    ):
        assert wanted_by(queries) == medium


def test_what_it_is_called() -> None:
    assert join([DOG, PICTURE, Query(like="7", of="image")], [1.0, -0.5, 2.0]).title == "dog + -0.5 a.png + 2 7"
    assert join([DOG, SNOW], [1.0, 2.0]).as_json() == {"joined": [{"text": "dog"}, {"text": "snow"}], "weights": [1, 2]}
