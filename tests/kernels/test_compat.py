"""The values and gradients of other packages: against their formula, and against themselves where installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dckt_kernels import compat
from tests.support.needs import part
from tests.support.tolerance import assert_same
from tests.support.yardstick import Rows

pytestmark = pytest.mark.numerics

MOST_KERNELS = 5  # of those whose sum is taken, each at most 1

Loss = Callable[[Tensor, Tensor], Tensor]


def assert_alike(rows: tuple[Tensor, Tensor], ours: Loss, theirs: Loss) -> None:
    x, y = (z.requires_grad_() for z in rows)
    value, expected = ours(x, y), theirs(x, y)
    pairs = (len(x) + len(y)) ** 2
    assert_same(value, expected, terms=pairs, scale=MOST_KERNELS)
    for a, b in zip(torch.autograd.grad(value, (x, y)), torch.autograd.grad(expected, (x, y)), strict=True):
        assert_same(a, b, terms=pairs)


def distances(a: Tensor, b: Tensor) -> Tensor:
    return (a[:, None] - b[None]).square().sum(-1)


@pytest.mark.parametrize("number", [4, 5])
@pytest.mark.parametrize("fix_sigma", [None, 6.0])
def test_snippet(rows: Rows, number: int, fix_sigma: float | None) -> None:
    def formula(x: Tensor, y: Tensor) -> Tensor:
        n, total = len(x), len(x) + len(y)
        d = distances(torch.cat([x, y]), torch.cat([x, y]))
        bandwidth = fix_sigma or d.detach().sum() / (total**2 - total)
        bandwidth = bandwidth / 2.0 ** (number // 2)
        k = torch.stack([torch.exp(-d / (bandwidth * 2.0**i)) for i in range(number)]).sum(0)
        return torch.mean(k[:n, :n] + k[n:, n:] - k[:n, n:] - k[n:, :n])

    assert_alike(
        rows(8, 8, 5, dtype=torch.float64),
        lambda x, y: compat.snippet_mmd(x, y, kernel_num=number, fix_sigma=fix_sigma),
        formula,
    )


@pytest.mark.parametrize("alphas", [(0.125, 0.25, 0.5, 1.0, 2.0), (0.5,), (1.0, 3.0)])
def test_tllib(rows: Rows, alphas: tuple[float, ...]) -> None:
    def formula(x: Tensor, y: Tensor) -> Tensor:
        n = len(x)
        d = distances(torch.cat([x, y]), torch.cat([x, y]))
        k = torch.stack([torch.exp(-d / (2 * a * d.detach().mean())) for a in alphas]).sum(0)
        off = 1 - torch.eye(n, dtype=k.dtype)
        within = ((k[:n, :n] + k[n:, n:]) * off).sum() / (n * (n - 1))
        return within - (k[:n, n:] + k[n:, :n]).sum() / n**2 + 2 / (n - 1)

    assert_alike(rows(8, 8, 5, dtype=torch.float64), lambda x, y: compat.tllib_mmd(x, y, alphas), formula)


SCALES = [(0.25, 0.5, 1.0, 2.0, 4.0), (1.0,), tuple(2.0 ** (k / 2 - 8) for k in range(33)), (1 / 3, 1.0, 3.0, 9.0)]


@pytest.mark.parametrize("scales", SCALES, ids=len)
@pytest.mark.parametrize("bandwidth", [None, 3.0])
def test_pytorch_adapt_formula(rows: Rows, scales: tuple[float, ...], bandwidth: float | None) -> None:
    def formula(x: Tensor, y: Tensor) -> Tensor:
        n, m = len(x), len(y)
        middle = distances(x, x).detach().median() if bandwidth is None else bandwidth

        def kernel(a: Tensor, b: Tensor) -> Tensor:
            return torch.stack([torch.exp(-distances(a, b) * s / middle) for s in scales]).mean(0)

        xx, yy = kernel(x, x).fill_diagonal_(0), kernel(y, y).fill_diagonal_(0)
        return xx.sum() / (n * (n - 1)) + yy.sum() / (m * (m - 1)) - 2 * kernel(x, y).mean()

    assert_alike(
        rows(9, 7, 5, dtype=torch.float64),
        lambda x, y: compat.pytorch_adapt_mmd(x, y, scales, bandwidth),
        formula,
    )


@pytest.mark.parametrize("scales", SCALES, ids=len)
def test_pytorch_adapt_itself(rows: Rows, scales: tuple[float, ...]) -> None:
    layers = part("pytorch_adapt.layers")
    loss = layers.MMDLoss(kernel_scales=torch.tensor(scales, dtype=torch.float64), mmd_type="quadratic")
    assert_alike(rows(9, 7, 5, dtype=torch.float64), lambda x, y: compat.pytorch_adapt_mmd(x, y, scales), loss)


def test_geomloss_formula(rows: Rows) -> None:
    alpha = torch.softmax(torch.arange(9, dtype=torch.float64), 0)
    beta = torch.full((7,), 1 / 7, dtype=torch.float64)

    def formula(x: Tensor, y: Tensor) -> Tensor:
        def product(a: Tensor, p: Tensor, b: Tensor, q: Tensor) -> Tensor:
            return p @ torch.exp(-distances(a, b) / (2 * 1.5**2)) @ q

        within = product(x, alpha, x, alpha) + product(y, beta, y, beta)
        return (within - 2 * product(x, alpha, y, beta)) / 2

    assert_alike(rows(9, 7, 5, dtype=torch.float64), lambda x, y: compat.geomloss_mmd(x, y, 1.5, alpha, beta), formula)


def test_geomloss_itself(rows: Rows) -> None:
    package = part("geomloss")
    loss = package.SamplesLoss("gaussian", blur=1.5, backend="tensorized")
    assert_alike(rows(9, 7, 5, dtype=torch.float64), lambda x, y: compat.geomloss_mmd(x, y, 1.5), loss)


def test_what_cannot_be_had_is_refused(rows: Rows) -> None:
    with pytest.raises(ValueError, match="tllib needs equal batches"):
        compat.tllib_mmd(*rows(4, 5, 3))
    with pytest.raises(ValueError, match="not a geometric progression"):
        compat.pytorch_adapt_mmd(*rows(4, 5, 3), kernel_scales=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="positive numbers"):
        compat.tllib_mmd(*rows(4, 4, 3), alphas=())
