from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_plugins.sinkhorn import scalings, shares, sinkhorn, symmetric_scalings


def similarity(seed: int, n: int, m: int) -> Tensor:
    return torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(2, 9), st.integers(2, 9), st.sampled_from([1.0, 0.1, 0.02]))
def test_both_marginals_are_uniform(seed: int, n: int, m: int, eps: float) -> None:
    plan = sinkhorn(similarity(seed, n, m), eps, rounds=20_000, tolerance=1e-12)
    torch.testing.assert_close(plan.sum(0), torch.full((m,), 1 / m, dtype=torch.float64), rtol=1e-6, atol=0)
    torch.testing.assert_close(plan.sum(1), torch.full((n,), 1 / n, dtype=torch.float64), rtol=1e-4, atol=0)


def test_the_plan_is_a_scaling_of_the_kernel() -> None:
    """What Cuturi's theorem says: log plan less similarity / eps is a sum of a row's and a column's number."""
    z = similarity(3, 5, 4)
    rest = sinkhorn(z, 0.1, rounds=5000, tolerance=1e-12).log() - z / 0.1
    torch.testing.assert_close(rest - rest[:1] - rest[:, :1] + rest[0, 0], torch.zeros_like(rest), rtol=0, atol=1e-9)


def test_little_entropy_finds_the_matching() -> None:
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    z = 0.2 * similarity(1, 12, 12) + torch.eye(12, dtype=torch.float64)[order]
    plan = sinkhorn(z, 0.003, rounds=5000)
    assert torch.equal(plan.argmax(dim=1), order.argsort().argsort())
    assert torch.isfinite(plan).all()


def test_unbalanced_leaves_alone_what_has_no_partner() -> None:
    z = torch.eye(6, dtype=torch.float64)
    z[5] = -1.0
    held, loose = (sinkhorn(z, 0.05, rho=rho, rounds=2000) for rho in (None, 0.05))
    assert held[5].sum() == pytest.approx(1 / 6, rel=1e-3)
    assert loose[5].sum() < 0.01


def test_shares_of_a_row_sum_to_one() -> None:
    rows = shares(sinkhorn(similarity(2, 4, 7), 0.1))
    torch.testing.assert_close(rows.sum(1), torch.ones(4, dtype=torch.float64))


@pytest.mark.parametrize("power", [1.0, 0.7])
def test_one_scaling_of_a_symmetric_kernel_is_that_of_rows_and_of_columns(power: float) -> None:
    points = similarity(4, 6, 2)
    z = -5 * torch.cdist(points, points).square()
    one = symmetric_scalings(z, power, rounds=60, tolerance=1e-12)
    assert one.change < 1e-12, "its error halves in each round"
    both = scalings(z, power, rounds=20_000, tolerance=1e-12)
    plans = [(z + found.rows[:, None] + found.columns).exp() for found in (one, both)]
    torch.testing.assert_close(plans[0], plans[1], rtol=1e-6, atol=1e-9)


def test_a_good_start_is_the_end() -> None:
    z = 3 * similarity(5, 6, 4)
    first = scalings(z, 1.0, rounds=5000, tolerance=1e-12)
    again = scalings(z, 1.0, rounds=1, tolerance=1e-12, start=first.columns)
    assert again.change < 1e-10
    torch.testing.assert_close(again.rows, first.rows)
