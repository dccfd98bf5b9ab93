"""The Triton backend as a differentiable function of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dckt_kernels.closed_form import NO_SECOND_DERIVATIVE
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.group import Group
from dckt_kernels.gpu.tiles import tiled
from dckt_kernels.ladder import Ladder, ladder_of
from dckt_kernels.options import Options
from dckt_kernels.pair_weights import PairWeights


class Call(NamedTuple):
    """What one call was asked for besides its rows."""

    weights: list[PairWeights]
    sigmas: Sequence[float | None]
    ladder: Ladder
    bandwidth_grad: bool
    precision: str


class _MMDMany(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, *rows: Tensor) -> Tensor:
        pairs = list(zip(rows[::2], rows[1::2], strict=True))
        wanted = any(ctx.needs_input_grad)
        small = [n for n, (x, y) in enumerate(pairs) if len(x) + len(y) <= configs.GROUPED_ROWS]
        values = torch.empty(len(pairs), dtype=torch.float32, device=rows[0].device)
        ctx.small, ctx.large, ctx.group = small, {}, None
        if small:
            group = Group(
                [pairs[n] for n in small],
                [call.weights[n] for n in small],
                [call.sigmas[n] for n in small],
                call.ladder,
                bandwidth_grad=call.bandwidth_grad,
                precision=call.precision,
            )
            values[small] = group.forward(wanted)
            ctx.group = group
        for n, (x, y) in enumerate(pairs):
            if n not in small:
                values[n], ctx.large[n] = tiled(
                    x,
                    y,
                    call.weights[n],
                    call.sigmas[n],
                    call.ladder,
                    gradient=wanted,
                    bandwidth_grad=call.bandwidth_grad,
                    precision=call.precision,
                )
        ctx.save_for_backward(*rows)
        return values

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        rows = ctx.saved_tensors
        grads: list[Tensor | None] = [None] * len(rows)
        if ctx.group is not None:
            for n, (gx, gy) in zip(ctx.small, ctx.group.backward(incoming[ctx.small]), strict=True):
                grads[2 * n], grads[2 * n + 1] = gx, gy
        for n, (gx, gy) in ctx.large.items():
            grads[2 * n], grads[2 * n + 1] = (gx * incoming[n]).to(gx.dtype), (gy * incoming[n]).to(gy.dtype)
        if torch.is_grad_enabled():  # these gradients may be differentiated again
            grads = list(_Once.apply(rows, *grads, *rows))
        return (None, *grads)


class _Once(torch.autograd.Function):
    """Hands gradients on, and refuses in so many words to be differentiated."""

    @staticmethod
    def forward(ctx: Any, rows: Sequence[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(grad.view_as(grad) for grad in tensors[: len(rows)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(NO_SECOND_DERIVATIVE)


def mmd_many(
    pairs: Sequence[tuple[Tensor, Tensor]],
    *,
    kernel_num: int,
    kernel_mul: float,
    sigmas: Sequence[float | None],
    estimator: str,
    weights_x: Sequence[Tensor | None],
    weights_y: Sequence[Tensor | None],
    bandwidth_grad: bool,
    precision: str,
) -> Tensor:
    """Squared MMD of each pair (x [n, d], y [m, d]) -> [L], float32, differentiable once. See `mk_mmd_many`."""
    options = Options(kernel_num, kernel_mul, "unbiased" if estimator == "unbiased" else "biased", bandwidth_grad)
    unbiased = estimator == "unbiased"
    weights = [PairWeights.of(x, y, u, w, unbiased) for (x, y), u, w in zip(pairs, weights_x, weights_y, strict=True)]
    on_chip = configs.on_chip(precision, amd=torch.version.hip is not None)
    call = Call(weights, list(sigmas), ladder_of(options), bandwidth_grad, on_chip)
    values: Tensor = _MMDMany.apply(call, *(rows for pair in pairs for rows in pair))
    return values
