"""Squared MMD and its gradient in closed form, in plain torch: no autograd graph, no N x N x d tensor.

Z = [X; Y] is centred, N = n + m. With c_ij the weight of the pair (i, j) in the estimate and k the mean of K Gaussians,

    MMD^2     = sum_ij c_ij k(D_ij),              D_ij = ||z_i - z_j||^2
    dMMD^2/dZ = M Z,   M = A - diag(A 1),         A_ij = -4 c_ij k'(D_ij)

so the gradient is one matrix product. Two ways to walk over the pairs: dense.py keeps M from forward to backward, for
batches; panels.py holds one block of A at a time and forms the gradient in the forward pass, for everything larger.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dckt_kernels.dense import dense
from dckt_kernels.options import Layer, Options
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.panels import panels
from dckt_kernels.product import full_precision, product

NO_SECOND_DERIVATIVE = "this MMD backend has no second derivatives: pass backend='reference', which has them"
DENSE_ROWS = 1024  # up to so many pooled rows N the N x N matrix is kept


def mmd_many(layers: Sequence[Layer], options: Options) -> Tensor:
    """Squared MMD of each layer -> [L], biased or unbiased."""
    tensors = [t for layer in layers for t in (layer.x, layer.y)]
    rest = [(layer.sigma, layer.weights_x, layer.weights_y) for layer in layers]
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        values: Tensor = ClosedForm.apply(options, rest, *tensors)[0]
        return values
    return values_and_factors(layers, options, gradient=False)[0]


def values_and_factors(layers: Sequence[Layer], options: Options, gradient: bool) -> tuple[Tensor, list[Tensor]]:
    """The values [L] and, for each layer, two tensors whose product is its gradient [N, d].

    They are (M [N, N], Z [N, d]) from `dense` and (an empty tensor, the gradient itself) from `panels`.
    """
    values: list[Tensor] = []
    factors: list[Tensor] = []
    with full_precision(layers[0].x.device.type):
        for x, y, sigma, weights_x, weights_y in layers:
            x, y = x.detach(), y.detach()
            weights = PairWeights.of(x, y, weights_x, weights_y, options.estimator == "unbiased")
            if x.shape[0] + y.shape[0] <= DENSE_ROWS:
                value, m, z = dense(x, y, options, sigma, weights, gradient)
                factors += [] if m is None else [m, z]
            else:
                value, grad = panels(x, y, options, sigma, weights, gradient)
                factors += [] if grad is None else [grad.new_empty(0), grad]
            values.append(value)
    return torch.stack(values), factors


def gradients(factors: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """The gradient [N, d] of each layer in `dtype`, from the factors of `values_and_factors`."""
    pairs = zip(factors[::2], factors[1::2], strict=True)
    return [(product(m, z, batch=[len(m)]) if m.ndim == 2 else z).to(dtype) for m, z in pairs]


class ClosedForm(torch.autograd.Function):
    """values [L], then the factors of the gradients, which are kept for backward and are no result."""

    @staticmethod
    def forward(options: Options, rest: Sequence[Any], *tensors: Tensor) -> tuple[Tensor, ...]:
        layers = [Layer(x, y, *other) for x, y, other in zip(tensors[::2], tensors[1::2], rest, strict=True)]
        values, factors = values_and_factors(layers, options, gradient=True)
        return values, *factors

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*inputs[2:], *output[1:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        incoming = grads[0]
        needed = ctx.needs_input_grad[2:]
        if incoming is None:
            return None, None, *(None for _ in needed)
        # Only a gradient that may be differentiated again needs to be a function of its own.
        gradient = Gradient.apply if torch.is_grad_enabled() else Gradient.forward
        return None, None, *gradient(incoming, needed, *ctx.saved_tensors)


class Gradient(torch.autograd.Function):
    """The first derivative, as a function in its own right so that a second one is refused in so many words."""

    @staticmethod
    def forward(incoming: Tensor, needed: Sequence[bool], *saved: Tensor) -> tuple[Tensor | None, ...]:
        inputs, factors = saved[: len(needed)], saved[len(needed) :]
        grads: list[Tensor | None] = []
        with full_precision(incoming.device.type):
            for layer in range(len(needed) // 2):
                x, y = 2 * layer, 2 * layer + 1
                grads += _layer_gradient(
                    inputs[x], inputs[y], needed[x], needed[y], factors[x], factors[y], incoming[layer]
                )
        return tuple(grads)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        raise RuntimeError(NO_SECOND_DERIVATIVE)


def _layer_gradient(
    x: Tensor, y: Tensor, need_x: bool, need_y: bool, m: Tensor, z: Tensor, incoming: Tensor
) -> list[Tensor | None]:
    """The gradients by x and y, where needed, from the factors of `values_and_factors` and the incoming gradient []."""
    if not (need_x or need_y):
        return [None, None]
    n = x.shape[0]
    kept = slice(0 if need_x else n, None if need_y else n)
    grad = product(m[kept] * incoming, z, batch=[len(m), n]) if m.ndim == 2 else z[kept] * incoming
    return [
        grad[:n].to(x.dtype) if need_x else None,
        grad[grad.shape[0] - y.shape[0] :].to(y.dtype) if need_y else None,
    ]


# `apply` asks for the signature of a forward that has a setup_context on every call; working it out takes 40 us.
for _function in (ClosedForm, Gradient):
    _function.forward.__signature__ = inspect.signature(_function.forward)  # type: ignore[union-attr]
