"""What the debiased Sinkhorn divergence promises, and that it says where its iterations fell short."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from dckt_core.base.errors import UsageError
from dckt_plugins.sinkhorn import sinkhorn_divergence
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics

EXACT: dict[str, Any] = {"rounds": 5_000, "tolerance": 1e-11}
LEFT = 1_000 * EXACT["tolerance"]
"""What such iterations leave, in units of the distance, where each round takes a thousandth of the error at least."""
RHOS = st.sampled_from([None, 0.5, 5.0])


def rows(n: int, d: int, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def divergence(x: Tensor, y: Tensor, eps: float = 1.0, rho: float | None = None) -> Tensor:
    return sinkhorn_divergence(x, y, eps=eps, rho=rho, **EXACT).value


@given(n=st.integers(1, 8), m=st.integers(1, 8), d=st.integers(1, 9), seed=st.integers(0, 999), rho=RHOS)
@settings(max_examples=25, deadline=None)
def test_it_is_zero_for_equal_rows_and_positive_else_whichever_comes_first(
    n: int, m: int, d: int, seed: int, rho: float | None
) -> None:
    x, y = rows(n, d, seed=seed), rows(m, d, seed=seed + 1)
    assert_same(divergence(x, x, d, rho), 0, terms=n * n * d, scale=d)
    assert float(divergence(x, x.flip(0), d, rho)) == pytest.approx(0, abs=LEFT * d)
    value = float(divergence(x, y, d, rho))
    assert value > 0
    assert value == pytest.approx(float(divergence(y, x, d, rho)), abs=LEFT * d)


@pytest.mark.parametrize("eps", [3.0, 10.0, 100.0])
def test_rows_moved_by_t_are_the_square_of_t_away(eps: float) -> None:
    x, t = rows(7, 3), torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)
    assert float(divergence(x, x + t, eps)) == pytest.approx(float(t.square().sum()), rel=LEFT)


def test_little_entropy_gives_the_cost_of_the_best_matching_and_much_that_of_the_means() -> None:
    x, y = rows(6, 2), rows(6, 2, seed=1, shift=1.0)
    cost = (x[:, None] - y).square().sum(dim=2).numpy()
    matching = float(cost[linear_sum_assignment(cost)].mean())
    assert float(divergence(x, y, 2e-3)) == pytest.approx(matching, rel=1e-2)  # the limit is not reached
    means = float((x.mean(0) - y.mean(0)).square().sum())
    assert float(divergence(x, y, 1e5)) == pytest.approx(means, rel=1e-3)  # nor this one


def test_one_row_against_one_is_their_distance_and_less_where_mass_may_be_left() -> None:
    """Without choice of a plan but for its mass p: p c + eps kl(p | 1) + 2 rho kl(p | 1), least at exp(-c / (...))."""
    x, y = torch.zeros(1, 1, dtype=torch.float64), torch.full((1, 1), 2.0, dtype=torch.float64)
    assert float(divergence(x, y)) == pytest.approx(4.0)
    eps, rho = 0.5, 3.0
    expected = (eps + 2 * rho) * (1 - torch.tensor(-4.0 / (eps + 2 * rho), dtype=torch.float64).exp())
    assert float(divergence(x, y, eps, rho)) == pytest.approx(float(expected))


def test_firm_marginals_are_those_of_the_balanced_plan() -> None:
    x, y = rows(5, 3), rows(7, 3, seed=1, shift=0.5)
    firm = float(divergence(x, y, rho=1e5))
    assert firm == pytest.approx(float(divergence(x, y)), rel=1e-3)  # they hold in the limit
    assert float(divergence(x, y, rho=0.1)) < float(divergence(x, y, rho=1.0)) < float(divergence(x, y))


@pytest.mark.parametrize("rho", [None, 0.7])
@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 6)])
def test_the_gradient_is_that_of_the_value(n: int, m: int, rho: float | None) -> None:
    """Though no iteration is differentiated, finite differences of the whole, iterations and all, say the same."""
    x, y = rows(n, 3).requires_grad_(), rows(m, 3, seed=1, shift=0.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: divergence(x, y, 0.8, rho), (x, y), eps=1e-5, atol=1e-6)


@pytest.mark.parametrize("rho", [None, 1.0])
def test_float32_says_what_float64_says(rho: float | None) -> None:
    x, y = rows(16, 32), rows(12, 32, seed=1, shift=0.3)
    single = [tensor.float().requires_grad_() for tensor in (x, y)]
    double = [tensor.clone().requires_grad_() for tensor in (x, y)]
    terms, distance = 28**2 * 32, float((x[:, None] - y).square().sum(dim=2).mean())
    values = [divergence(*pair, eps=10.0, rho=rho) for pair in (single, double)]
    assert values[0].dtype == torch.float32
    assert_same(values[0], values[1], terms=terms, scale=distance)
    slopes = [torch.autograd.grad(value, pair) for value, pair in zip(values, (single, double), strict=True)]
    for ours, exact in zip(*slopes, strict=True):
        assert_same(ours, exact, terms=terms)
        assert float(exact.abs().max()) > 1e-3


def test_far_apart_and_far_from_the_origin_nothing_overflows() -> None:
    x, y = rows(5, 3, shift=1e4), rows(6, 3, seed=1, shift=-1e4)
    x.requires_grad_()
    value = sinkhorn_divergence(x, y, eps=1e-2).value
    assert float(value) == pytest.approx(12e8, rel=1e-3)  # rows scatter by 1, and the means are 2e4 apart
    assert torch.isfinite(torch.autograd.grad(value, x)[0]).all()


def test_a_layers_unit_is_the_mean_distance_of_its_rows(build: Any) -> None:
    tolerance = 1e-9
    sinkhorn = build("sinkhorn", tolerance=tolerance)
    x, y = rows(6, 5), rows(9, 5, seed=1, shift=1.0)
    value = float(sinkhorn(x, y))
    assert value > 0.1
    assert float(sinkhorn(100 * x + 7, 100 * y + 7)) == pytest.approx(value, rel=1_000 * tolerance)
    assert float(build("sinkhorn", rho=0.5)(x, y)) < value


def test_a_step_against_the_gradient_brings_domains_nearer(build: Any) -> None:
    sinkhorn = build("sinkhorn")
    x, y = rows(6, 5).requires_grad_(), rows(9, 5, seed=1, shift=1.0).requires_grad_()
    value = sinkhorn(x, y)
    slopes = torch.autograd.grad(value, (x, y))
    assert float(sinkhorn(x - slopes[0], y - slopes[1])) < float(value)


def test_it_says_once_where_it_did_not_come_to_rest(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    x, y = rows(12, 2), rows(12, 2, seed=1, shift=0.5)
    with caplog.at_level(logging.WARNING, logger="dckt"):
        build("sinkhorn")(x, y)
        assert not caplog.records
        short = build("sinkhorn", rounds=2, eps=0.01)
        assert all(torch.isfinite(short(x, y)) for _ in range(3))
    (said,) = caplog.messages
    assert said.startswith("discrepancy 'sinkhorn': after 2 rounds a potential still moved by")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"eps": "0"}, "'eps'"), ({"rho": "-1"}, "'rho'"), ({"rounds": "0"}, "'rounds'"), ({"tolerance": "2"}, "'toler")],
)
def test_bad_options(build: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("sinkhorn", **options)
