from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_core.testing.rounding import rounding
from dckt_plugins.sinkhorn import scalings, shares, sinkhorn, symmetric_scalings
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics

TOLERANCE = 1e-12
LEFT = 1_000 * TOLERANCE
"""What iterations leave that end at a change of TOLERANCE, where a round takes a thousandth of the error at least."""


def similarity(seed: int, n: int, m: int) -> Tensor:
    return torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rows_lack(z: Tensor, eps: float, rounds: int) -> float:
    """What the sums of a balanced plan's rows lack, relative to them: they were right until the last round moved the
    columns' scalings, each by at most its `change`."""
    moved = scalings(z / eps, 1.0, rounds=rounds, tolerance=TOLERANCE).change
    return math.expm1(moved) + rounding(torch.float64, z.numel()) / eps


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 9), st.integers(2, 9), st.sampled_from([1.0, 0.1, 0.02]))
def test_both_marginals_are_uniform(seed: int, n: int, m: int, eps: float) -> None:
    z = similarity(seed, n, m)
    plan = sinkhorn(z, eps, rounds=500, tolerance=TOLERANCE)
    rows, columns = (torch.full((size,), 1 / size, dtype=torch.float64) for size in (n, m))
    assert_same(plan.sum(0), columns, terms=n * m)  # what was scaled last
    torch.testing.assert_close(plan.sum(1), rows, rtol=rows_lack(z, eps, 500), atol=0)


def test_the_plan_is_a_scaling_of_the_kernel() -> None:
    """What Cuturi's theorem says: log plan less similarity / eps is a sum of a row's and a column's number."""
    z = similarity(3, 5, 4)
    rest = sinkhorn(z, 0.1, rounds=5000, tolerance=TOLERANCE).log() - z / 0.1
    rest = rest - rest[:1] - rest[:, :1] + rest[0, 0]
    assert_same(rest, torch.zeros_like(rest), terms=5 * 4, scale=1 / 0.1)


def test_little_entropy_finds_the_matching() -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    z = 0.2 * similarity(1, 12, 12) + torch.eye(12, dtype=torch.float64)[order]
    plan = sinkhorn(z, 0.003, rounds=5000)
    assert torch.equal(plan.argmax(dim=1), order.argsort().argsort())
    assert torch.isfinite(plan).all()


def test_unbalanced_leaves_alone_what_has_no_partner() -> None:
    z = torch.eye(6, dtype=torch.float64)
    z[5] = -1.0
    held, loose = (sinkhorn(z, 0.05, rho=rho, rounds=2000, tolerance=TOLERANCE) for rho in (None, 0.05))
    assert held[5].sum() == pytest.approx(1 / 6, rel=rows_lack(z, 0.05, 2000))
    assert loose[5].sum() < 0.01


def test_shares_of_a_row_sum_to_one() -> None:
    rows = shares(sinkhorn(similarity(2, 4, 7), 0.1))
    assert_same(rows.sum(1), torch.ones(4), terms=7, dtype=torch.float64)


@pytest.mark.parametrize("power", [1.0, 0.7])
def test_one_scaling_of_a_symmetric_kernel_is_that_of_rows_and_of_columns(power: float) -> None:
    points = similarity(4, 6, 2)
    z = -5 * torch.cdist(points, points).square()
    one = symmetric_scalings(z, power, rounds=60, tolerance=TOLERANCE)
    assert one.change < TOLERANCE, "its error halves in each round"
    both = scalings(z, power, rounds=20_000, tolerance=TOLERANCE)
    plans = [(z + found.rows[:, None] + found.columns).exp() for found in (one, both)]
    torch.testing.assert_close(plans[0], plans[1], rtol=LEFT, atol=LEFT)


def test_a_good_start_is_the_end() -> None:
    z = 3 * similarity(5, 6, 4)
    first = scalings(z, 1.0, rounds=5000, tolerance=TOLERANCE)
    again = scalings(z, 1.0, rounds=1, tolerance=TOLERANCE, start=first.columns)
    assert again.change < LEFT
    torch.testing.assert_close(again.rows, first.rows, rtol=0, atol=LEFT)
