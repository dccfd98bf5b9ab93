"""The linear and the quadruple estimates, term by term and on the average."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dckt_kernels import mean_distance_bandwidth, mk_mmd, subsampled
from tests.support.tolerance import assert_same
from tests.support.yardstick import Rows

pytestmark = pytest.mark.numerics


def kernel(a: Tensor, b: Tensor, sigma: float) -> float:
    distance = float((a - b).square().sum())
    return sum(math.exp(-distance / (sigma * 2.0 ** (k - 2))) for k in range(5)) / 5


def term(x: Tensor, y: Tensor, s1: int, s2: int, t1: int, t2: int, sigma: float) -> float:
    return (
        kernel(x[s1], x[s2], sigma)
        + kernel(y[t1], y[t2], sigma)
        - kernel(x[s1], y[t2], sigma)
        - kernel(x[s2], y[t1], sigma)
    )


def test_linear_is_the_mean_over_consecutive_quadruples(rows: Rows) -> None:
    x, y = rows(9, 7, 4, dtype=torch.float64)
    sigma = float(mean_distance_bandwidth(x, y))
    terms = [term(x, y, i, i + 1, i, i + 1, sigma) for i in (0, 2, 4)]
    assert_same(mk_mmd(x, y, estimator="linear"), sum(terms) / 3, terms=12, scale=1)


def test_quadruple_is_the_mean_over_its_draws(rows: Rows) -> None:
    x, y = rows(6, 9, 4, dtype=torch.float64)
    draws = subsampled.random(6, 9, x.device, torch.Generator().manual_seed(3))
    terms = [term(x, y, *(int(i) for i in quadruple), 5.0) for quadruple in zip(*draws, strict=True)]
    assert len(terms) == 9
    value = mk_mmd(x, y, estimator="quadruple", sigma=5.0, generator=torch.Generator().manual_seed(3))
    assert_same(value, sum(terms) / 9, terms=36, scale=1)


def test_draws_are_distinct_and_reach_every_ordered_pair() -> None:
    s1, s2, t1, t2 = subsampled.random(3, 2000, torch.device("cpu"), torch.Generator().manual_seed(0))
    assert (s1 != s2).all()
    assert (t1 != t2).all()
    counts = torch.bincount(3 * s1 + s2, minlength=9).reshape(3, 3)
    assert not counts.diagonal().any()
    assert (counts[~torch.eye(3, dtype=torch.bool)] > 2000 / 6 * 0.8).all()


@pytest.mark.parametrize("estimator", ["linear", "quadruple"])
def test_gradients_use_the_same_draws(rows: Rows, estimator: str) -> None:
    x, y = (z.requires_grad_() for z in rows(6, 5, 3, dtype=torch.float64))
    for options in ({"sigma": 3.0}, {"bandwidth_grad": True}):
        assert torch.autograd.gradcheck(
            lambda a, b, o=options: mk_mmd(a, b, estimator=estimator, generator=torch.Generator().manual_seed(1), **o),
            (x, y),
        )


def test_quadruple_is_unbiased(rows: Rows) -> None:
    x, y = rows(12, 10, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    draws = torch.stack([mk_mmd(x, y, estimator="quadruple", generator=generator) for _ in range(800)])
    exact = mk_mmd(x, y, estimator="unbiased")
    assert abs(float(draws.mean() - exact)) < 4 * float(draws.std()) / 800**0.5


def test_the_generator_decides(rows: Rows) -> None:
    x, y = rows(12, 10, 3)

    def draw(seed: int) -> Tensor:
        return mk_mmd(x, y, estimator="quadruple", generator=torch.Generator().manual_seed(seed))

    assert torch.equal(draw(0), draw(0))
    assert not torch.equal(draw(0), draw(1))


def test_weights_are_a_product_over_the_quadruple(rows: Rows) -> None:
    x, y = rows(6, 6, 3, dtype=torch.float64)
    u, w = torch.tensor([1.0, 2, 0, 1, 3, 1]).double(), torch.tensor([1.0, 1, 1, 1, 0.5, 2]).double()
    sigma = float(mean_distance_bandwidth(x, y, u, w))
    terms = [term(x, y, i, i + 1, i, i + 1, sigma) for i in (0, 2, 4)]
    masses = [float(u[i] * u[i + 1] * w[i] * w[i + 1]) for i in (0, 2, 4)]
    expected = sum(a * b for a, b in zip(masses, terms, strict=True)) / sum(masses)
    value = mk_mmd(x, y, estimator="linear", weights_x=u, weights_y=w)
    assert_same(value, expected, terms=12, scale=1)


def test_rows_all_the_same_give_zero() -> None:
    x = torch.full((6, 4), 0.3, requires_grad=True)
    value = mk_mmd(x, torch.full((4, 4), 0.3), estimator="linear", bandwidth_grad=True)
    (grad,) = torch.autograd.grad(value, x)
    assert float(value.detach()) == 0
    assert not grad.any()
