"""The public mean-distance bandwidth."""

from __future__ import annotations

import pytest
import torch

from dckt_kernels import mean_distance_bandwidth, mk_mmd
from tests.support.tolerance import assert_same
from tests.support.yardstick import Rows

pytestmark = pytest.mark.numerics


@pytest.mark.parametrize("offset", [0.0, 100.0, 1000.0])
def test_float32_with_an_offset(rows: Rows, offset: float) -> None:
    x, y = rows(30, 20, 64, offset=offset)
    z = torch.cat([x, y]).double()
    exact = float((z[:, None] - z[None]).square().sum() / (50 * 49))
    assert_same(mean_distance_bandwidth(x, y), exact, terms=64)


def test_it_is_the_default_sigma(rows: Rows) -> None:
    x, y = rows(30, 20, 64, dtype=torch.float64)
    u = torch.linspace(0, 1, 30, dtype=torch.float64)
    sigma = float(mean_distance_bandwidth(x, y, weights_x=u))
    assert_same(mk_mmd(x, y, weights_x=u, sigma=sigma), mk_mmd(x, y, weights_x=u), terms=50**2, scale=1)


def test_weights_are_taken_as_they_are(rows: Rows) -> None:
    x, y = rows(6, 5, 3, dtype=torch.float64)
    u, w = torch.rand(6, generator=torch.Generator().manual_seed(0)).double(), torch.ones(5).double()
    v, z = torch.cat([u, w]), torch.cat([x, y])
    cells = v[:, None] * v[None] * (1 - torch.eye(11).double())
    expected = (cells * (z[:, None] - z[None]).square().sum(-1)).sum() / cells.sum()
    assert_same(mean_distance_bandwidth(x, y, weights_x=u), expected, terms=11**2)


def test_rows_all_the_same() -> None:
    assert float(mean_distance_bandwidth(torch.full((5, 7), 0.1), torch.full((4, 7), 0.1))) == 0


def test_gradcheck(rows: Rows) -> None:
    x, y = (z.requires_grad_() for z in rows(4, 3, 2, dtype=torch.float64))
    assert torch.autograd.gradcheck(mean_distance_bandwidth, (x, y))
