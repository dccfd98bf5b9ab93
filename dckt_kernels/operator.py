"""`torch.ops.dckt.mk_mmd`: what torch.compile and torch.export see in place of the eager autograd.Function.

The gradients are formed with the values, so that the backward pass is one multiplication and every shape is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.closed_form import gradients, values_and_factors
from dckt_kernels.options import Layer, Options, Precision, accumulation_dtype


def mmd_many(layers: Sequence[Layer], options: Options, backend: str, precision: Precision) -> Tensor:
    """Squared MMD of each layer -> [L], through the operator."""
    tensors = [t for layer in layers for t in (layer.x, layer.y)]
    gradient = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    values: Tensor = torch.ops.dckt.mk_mmd(
        tensors,
        [w for layer in layers for w in (layer.weights_x, layer.weights_y)],
        [math.nan if layer.sigma is None else layer.sigma for layer in layers],
        options.kernel_num,
        options.kernel_mul,
        options.estimator,
        options.bandwidth_grad,
        backend,
        precision,
        gradient,
    )[0]
    return values


@torch.library.custom_op("dckt::mk_mmd", mutates_args=())
def _mk_mmd(
    tensors: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    sigmas: Sequence[float],
    kernel_num: int,
    kernel_mul: float,
    estimator: str,
    bandwidth_grad: bool,
    backend: str,
    precision: str,
    gradient: bool,
) -> tuple[Tensor, list[Tensor]]:
    """tensors x_0, y_0, x_1, ..., weights likewise, sigmas NaN for the mean -> values [L], gradients [N, d] each."""
    options = Options(kernel_num, kernel_mul, estimator, bandwidth_grad)  # type: ignore[arg-type]
    layers = [
        Layer(x, y, None if math.isnan(sigma) else sigma, u, w)
        for x, y, sigma, u, w in zip(tensors[::2], tensors[1::2], sigmas, weights[::2], weights[1::2], strict=True)
    ]
    if backend == "triton":
        return _triton(layers, options, precision, gradient)  # type: ignore[arg-type]
    values, factors = values_and_factors(layers, options, gradient)
    return values, gradients(factors, values.dtype)


def _triton(
    layers: Sequence[Layer], options: Options, precision: Precision, gradient: bool
) -> tuple[Tensor, list[Tensor]]:
    from dckt_kernels import gpu

    leaves = [
        layer._replace(x=layer.x.detach().requires_grad_(gradient), y=layer.y.detach().requires_grad_(gradient))
        for layer in layers
    ]
    with torch.set_grad_enabled(gradient):
        values = gpu.mmd_many(leaves, options, precision)
        if not gradient:
            return values, []
        grads = torch.autograd.grad(values.sum(), [rows for layer in leaves for rows in (layer.x, layer.y)])
    return values.detach(), [torch.cat(pair).float() for pair in zip(grads[::2], grads[1::2], strict=True)]


@_mk_mmd.register_fake
def _(
    tensors: Sequence[Tensor],
    weights: Sequence[Tensor | None],
    sigmas: Sequence[float],
    kernel_num: int,
    kernel_mul: float,
    estimator: str,
    bandwidth_grad: bool,
    backend: str,
    precision: str,
    gradient: bool,
) -> tuple[Tensor, list[Tensor]]:
    dtype = accumulation_dtype(tensors[0].dtype)
    pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
    grads = [x.new_empty(x.shape[0] + y.shape[0], x.shape[1], dtype=dtype) for x, y in pairs] if gradient else []
    return tensors[0].new_empty(len(pairs), dtype=dtype), grads


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, list[Tensor]]) -> None:
    ctx.mark_non_differentiable(*output[1])
    ctx.set_materialize_grads(False)
    ctx.rows = [(x.shape[0], x.dtype) for x in inputs[0][::2]]
    ctx.save_for_backward(*output[1])


def _backward(ctx: Any, incoming: Tensor | None, _: Any) -> tuple[Any, ...]:
    grads: list[Tensor | None] = []
    for layer, (n, dtype) in enumerate(ctx.rows):
        if incoming is None:
            grads += [None, None]
            continue
        grad = (ctx.saved_tensors[layer] * incoming[layer]).to(dtype)
        grads += [grad[:n], grad[n:]]
    return grads, *(None,) * 9


_mk_mmd.register_autograd(_backward, setup_context=_setup_context)
