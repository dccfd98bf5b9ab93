"""What holds for every pair of batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dckt_kernels import mean_distance_bandwidth, mk_mmd
from tests.support.tolerance import assert_same, rounding
from tests.support.yardstick import value_and_gradients

pytestmark = pytest.mark.numerics

sizes = st.integers(min_value=1, max_value=12)
seeds = st.integers(min_value=0, max_value=10_000)
estimators = st.sampled_from(["biased", "unbiased"])
kernels = st.tuples(st.integers(min_value=1, max_value=6), st.sampled_from([2.0, 0.5, 1.5, 3.0]))

quickly = settings(max_examples=40, deadline=None)


def draw(n: int, m: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return x, torch.randn(m, d, generator=generator, dtype=torch.float64) * 1.5 + 0.3


@quickly
@given(sizes, sizes, sizes, seeds, kernels)
def test_biased_is_never_negative_and_at_most_two(n: int, m: int, d: int, seed: int, kernel: tuple[int, float]) -> None:
    value = float(mk_mmd(*draw(n, m, d, seed), kernel_num=kernel[0], kernel_mul=kernel[1]))
    granted = rounding(torch.float64, (n + m) ** 2)
    assert -granted <= value <= 2 + granted


@quickly
@given(sizes, sizes, sizes, seeds, estimators)
def test_symmetry(n: int, m: int, d: int, seed: int, estimator: str) -> None:
    x, y = draw(n + 1, m + 1, d, seed)
    there, grad = value_and_gradients(x, y, estimator=estimator)
    back, back_grad = value_and_gradients(y, x, estimator=estimator)
    assert_same(there, back, terms=(n + m + 2) ** 2, scale=1)
    assert_same(grad, back_grad.roll(n + 1, 0), terms=(n + m + 2) ** 2)


@quickly
@given(sizes, sizes, sizes, seeds)
def test_the_order_of_rows_does_not_matter(n: int, m: int, d: int, seed: int) -> None:
    x, y = draw(n, m, d, seed)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert_same(mk_mmd(x[order], y), mk_mmd(x, y), terms=(n + m) ** 2, scale=1)


@quickly
@given(sizes, sizes, sizes, seeds, st.floats(min_value=-1e3, max_value=1e3))
def test_a_common_shift_changes_nothing_and_the_gradient_has_no_mean(
    n: int, m: int, d: int, seed: int, shift: float
) -> None:
    x, y = draw(n, m, d, seed)
    value, grad = value_and_gradients(x, y)
    assert_same(mk_mmd(x + shift, y + shift), value, terms=(n + m) ** 2, scale=1 + abs(shift))
    assert_same(grad.sum(0), torch.zeros(d), terms=(n + m) ** 2, scale=float(grad.abs().max()), dtype=torch.float64)


@quickly
@given(sizes, sizes, sizes, seeds, st.floats(min_value=1e-3, max_value=1e3))
def test_a_common_scale_changes_nothing_with_the_mean_distance(n: int, m: int, d: int, seed: int, scale: float) -> None:
    x, y = draw(n, m, d, seed)
    assert_same(mk_mmd(scale * x, scale * y), mk_mmd(x, y), terms=(n + m) ** 2, scale=1)


@quickly
@given(sizes, sizes, seeds)
def test_identical_batches(n: int, d: int, seed: int) -> None:
    x, _ = draw(n, 1, d, seed)
    value, grad = value_and_gradients(x, x)
    assert_same(value, 0, terms=(2 * n) ** 2, scale=1)
    assert_same(grad[:n], -grad[n:], terms=(2 * n) ** 2, scale=1)


@quickly
@given(sizes, sizes, sizes, seeds)
def test_weights_say_how_often_a_row_counts(n: int, m: int, d: int, seed: int) -> None:
    x, y = draw(n, m, d, seed)
    times = torch.randint(1, 4, (n,), generator=torch.Generator().manual_seed(seed))
    sigma = 3.0  # fixed: a repeated row also adds distances of 0 to the mean, a weight does not
    weighted = mk_mmd(x, y, sigma=sigma, weights_x=times.double())
    repeated = mk_mmd(x.repeat_interleave(times, 0), y, sigma=sigma)
    assert_same(weighted, repeated, terms=(3 * n + m) ** 2, scale=1)
    assert_same(mk_mmd(x, y, sigma=sigma, weights_x=7 * times.double()), weighted, terms=(n + m) ** 2, scale=1)


@quickly
@given(sizes, sizes, sizes, seeds)
def test_the_mean_distance_is_the_mean_of_the_distances(n: int, m: int, d: int, seed: int) -> None:
    x, y = draw(n, m, d, seed)
    z = torch.cat([x, y])
    distances = (z[:, None] - z[None]).square().sum(-1)
    expected = distances.sum() / ((n + m) * (n + m - 1))
    assert_same(mean_distance_bandwidth(x, y), expected, terms=(n + m) ** 2)
