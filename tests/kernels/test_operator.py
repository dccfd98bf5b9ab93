"""torch.ops.dckt.mk_mmd: registered as torch wants it, and the same numbers compiled and exported."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dckt_kernels import mk_mmd, mk_mmd_many
from tests.support.tolerance import assert_same
from tests.support.yardstick import Rows


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_opcheck(rows: Rows, gradient: bool, dtype: torch.dtype) -> None:
    x, y = (z.requires_grad_(gradient) for z in rows(6, 4, 5, dtype=dtype))
    weights = [None, None, torch.rand(4, generator=torch.Generator().manual_seed(0)), None]
    arguments = ([x, y, y, x], weights, [math.nan, 3.0], 5, 2.0, "biased", False, "closed_form", "ieee", gradient)
    outcome = torch.library.opcheck(torch.ops.dckt.mk_mmd.default, arguments)
    assert set(outcome.values()) == {"SUCCESS"}


@pytest.mark.parametrize(
    "options", [{}, {"estimator": "unbiased", "bandwidth_grad": True}, {"estimator": "linear"}], ids=str
)
def test_compiled_without_a_graph_break(rows: Rows, options: dict[str, Any]) -> None:
    def loss(a: Tensor, b: Tensor) -> Tensor:
        return mk_mmd_many([(a.tanh(), b.tanh()), (a, b)], **options).sum()

    x, y = (z.requires_grad_() for z in rows(12, 9, 5))
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value, expected = compiled(x, y), loss(x, y)
    assert_same(value, expected, terms=21**2, scale=1)
    for a, b in zip(torch.autograd.grad(value, (x, y)), torch.autograd.grad(expected, (x, y)), strict=True):
        assert_same(a, b, terms=21**2)


def test_exported_with_a_dynamic_batch(rows: Rows) -> None:
    class Loss(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return mk_mmd(x, y)

    n, m = torch.export.Dim("n", min=2), torch.export.Dim("m", min=2)
    program = torch.export.export(Loss(), rows(6, 5, 4), dynamic_shapes={"x": {0: n}, "y": {0: m}})
    assert any("mk_mmd" in str(node.target) for node in program.graph.nodes)
    for size in ((6, 5, 4), (17, 30, 4)):
        x, y = rows(*size)
        assert_same(program.module()(x, y), mk_mmd(x, y), terms=47**2, scale=1)
