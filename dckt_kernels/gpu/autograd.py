"""The Triton backend as a differentiable function of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.closed_form import NO_SECOND_DERIVATIVE
from dckt_kernels.gpu import configs
from dckt_kernels.gpu.large_launch import large_layer
from dckt_kernels.gpu.small_launch import SmallLayers
from dckt_kernels.options import Layer, Options, Precision


class _MMDMany(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, given: Sequence[Layer], options: Options, precision: Precision, *rows: Tensor) -> Tensor:
        layers = [layer._replace(x=x, y=y) for layer, x, y in zip(given, rows[::2], rows[1::2], strict=True)]
        wanted = any(ctx.needs_input_grad)
        small = [n for n, layer in enumerate(layers) if len(layer.x) + len(layer.y) <= configs.SMALL_ROWS]
        values = torch.empty(len(layers), dtype=torch.float32, device=rows[0].device)
        ctx.small, ctx.small_layers, ctx.large = small, None, {}
        if small:
            ctx.small_layers = SmallLayers([layers[n] for n in small], options, precision)
            values[small] = ctx.small_layers.forward(wanted)
        for n, layer in enumerate(layers):
            if n not in small:
                values[n], ctx.large[n] = large_layer(layer, options, precision, wanted)
        ctx.save_for_backward(*rows)
        return values

    @staticmethod
    def backward(ctx: Any, incoming: Tensor) -> tuple[Tensor | None, ...]:
        rows = ctx.saved_tensors
        grads: list[Tensor | None] = [None] * len(rows)
        if ctx.small:
            for n, (gx, gy) in zip(ctx.small, ctx.small_layers.backward(incoming[ctx.small]), strict=True):
                grads[2 * n], grads[2 * n + 1] = gx, gy
        for n, (gx, gy) in ctx.large.items():
            grads[2 * n], grads[2 * n + 1] = (gx * incoming[n]).to(gx.dtype), (gy * incoming[n]).to(gy.dtype)
        if torch.is_grad_enabled():  # these gradients may be differentiated again
            grads = list(_Once.apply(rows, *grads, *rows))
        return (None, None, None, *grads)


class _Once(torch.autograd.Function):
    """Hands gradients on, and refuses in so many words to be differentiated."""

    @staticmethod
    def forward(ctx: Any, rows: Sequence[Tensor], *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(grad.view_as(grad) for grad in tensors[: len(rows)])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(NO_SECOND_DERIVATIVE)


def mmd_many(layers: Sequence[Layer], options: Options, precision: Precision) -> Tensor:
    """Squared MMD of each layer -> [L], float32, biased or unbiased, differentiable once. See `mk_mmd_many`."""
    on_chip = configs.on_chip(precision, amd=torch.version.hip is not None)
    values: Tensor = _MMDMany.apply(layers, options, on_chip, *(t for layer in layers for t in (layer.x, layer.y)))
    return values
