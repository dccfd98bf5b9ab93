"""The yardstick itself, against sums written out pair by pair."""

from __future__ import annotations

import math

import pytest
import torch

from dckt_kernels import mk_mmd
from tests.support.tolerance import assert_same

pytestmark = pytest.mark.numerics

X = [[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]]
Y = [[1.0, 1.0], [-1.0, 0.0]]
U = [1.0, 2.0, 0.5]
W = [0.25, 3.0]


def squared(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def by_hand(estimator: str, u: list[float], w: list[float], steps: list[float]) -> float:
    rows, v = X + Y, u + w
    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    mass = sum(v[i] * v[j] for i, j in pairs)
    sigma = sum(v[i] * v[j] * squared(rows[i], rows[j]) for i, j in pairs) / mass

    def mean(a: range, b: range, skip: bool) -> float:
        cells = [(i, j) for i in a for j in b if not (skip and i == j)]
        kernel = {
            (i, j): sum(math.exp(-squared(rows[i], rows[j]) / (sigma * s)) for s in steps) / len(steps)
            for i, j in cells
        }
        return sum(v[i] * v[j] * kernel[i, j] for i, j in cells) / sum(v[i] * v[j] for i, j in cells)

    x, y, skip = range(3), range(3, 5), estimator == "unbiased"
    return mean(x, x, skip) + mean(y, y, skip) - 2 * mean(x, y, False)


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("number", "mul", "steps"),
    [(5, 2.0, [0.25, 0.5, 1, 2, 4]), (4, 3.0, [1 / 9, 1 / 3, 1, 3]), (1, 2.0, [1.0]), (2, 0.5, [2.0, 1.0])],
)
def test_it_is_the_sum_written_out(estimator: str, weighted: bool, number: int, mul: float, steps: list[float]) -> None:
    x, y = torch.tensor(X, dtype=torch.float64), torch.tensor(Y, dtype=torch.float64)
    options = {"kernel_num": number, "kernel_mul": mul, "estimator": estimator}
    if weighted:
        options |= {"weights_x": torch.tensor(U).double(), "weights_y": torch.tensor(W).double()}
    expected = by_hand(estimator, U if weighted else [1.0] * 3, W if weighted else [1.0] * 2, steps)
    for backend in ("reference", "closed_form"):
        assert_same(mk_mmd(x, y, backend=backend, **options), expected, terms=5**2, scale=1)


def test_a_fixed_sigma_is_the_middle_of_the_ladder() -> None:
    x, y = torch.tensor([[0.0]], dtype=torch.float64), torch.tensor([[3.0]], dtype=torch.float64)
    kernel = sum(math.exp(-9 / (2.0 * step)) for step in (0.25, 0.5, 1, 2, 4)) / 5
    for backend in ("reference", "closed_form"):
        assert_same(mk_mmd(x, y, sigma=2.0, backend=backend), 2 - 2 * kernel, terms=5)


def test_it_has_second_derivatives() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    options = {"backend": "reference", "bandwidth_grad": True}
    with torch.random.fork_rng():  # gradgradcheck draws its incoming gradients from the global generator
        assert torch.autograd.gradgradcheck(lambda a, b: mk_mmd(a, b, **options), (x, y))
