"""The discrepancy `sinkhorn`: its unit, and that it says where its iterations fell short."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from dckt_core.base.errors import UsageError

pytestmark = pytest.mark.numerics


def rows(n: int, d: int, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_a_layers_unit_is_the_mean_distance_of_its_rows(build: Any) -> None:
    sinkhorn = build("sinkhorn", tolerance=1e-9)
    x, y = rows(6, 5), rows(9, 5, seed=1, shift=1.0)
    value = float(sinkhorn(x, y))
    assert value > 0.1
    assert float(sinkhorn(100 * x + 7, 100 * y + 7)) == pytest.approx(value, rel=1e-6)
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
        short = build("sinkhorn", sweeps=2, eps=0.01)
        assert all(torch.isfinite(short(x, y)) for _ in range(3))
    (said,) = caplog.messages
    assert said.startswith("discrepancy 'sinkhorn': after 2 sweeps the marginals are off by")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"eps": "0"}, "'eps'"), ({"rho": "-1"}, "'rho'"), ({"sweeps": "1"}, "'sweeps'"), ({"tolerance": "2"}, "'toler")],
)
def test_bad_options(build: Any, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build("sinkhorn", **options)
