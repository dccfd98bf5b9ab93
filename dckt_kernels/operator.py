"""`torch.ops.dckt.mk_mmd`: what torch.compile and torch.export see in place of the eager autograd.Function.

The gradients are formed with the values, so that the backward pass is one multiplication and every shape is known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_kernels import derivatives
from dckt_kernels.closed_form import ClosedForm
from dckt_kernels.options import Layer, Options, Precision, accumulation_dtype
from dckt_kernels.product import full_precision

NAME = "dckt::mk_mmd"
NOT_FUNCTIONAL = "torch.ops.dckt.mk_mmd takes no derivative within torch.func: call mk_mmd, outside torch.compile"


def mmd_many(layers: Sequence[Layer], options: Options, backend: str, precision: Precision) -> Tensor:
    """Squared MMD of each layer -> [L], through the operator."""
    tensors = [t for layer in layers for t in (layer.x, layer.y)]
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
        derivatives.wants_gradient(tensors),
    )[0]
    return values


torch.library.define(
    NAME,
    "(Tensor[] tensors, Tensor?[] weights, float[] sigmas, int kernel_num, float kernel_mul, str estimator, "
    "bool bandwidth_grad, str backend, str precision, bool gradient) -> (Tensor, Tensor[])",
    tags=[torch.Tag.pt2_compliant_tag],
)


@torch.library.impl(NAME, "CompositeExplicitAutograd")
def _compute(
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
    rest = [
        (None if math.isnan(sigma) else sigma, u, w)
        for sigma, u, w in zip(sigmas, weights[::2], weights[1::2], strict=True)
    ]
    call: derivatives.Call = ClosedForm(options, rest)
    if backend == "triton":
        from dckt_kernels import gpu

        call = gpu.call(options, rest, precision, tensors[0].device)  # type: ignore[arg-type]
    with full_precision(tensors[0].device.type):
        values, kept = call.compute(tensors, gradient)
        if not gradient:
            return values, []
        everything = [True] * len(tensors)
        grads = call.gradients(derivatives.Asked(tensors, kept, torch.ones_like(values), everything, values.dtype))
    return values, [torch.cat([x, y]) for x, y in zip(grads[::2], grads[1::2], strict=True)]  # type: ignore[list-item]


@torch.library.register_fake(NAME)  # type: ignore[untyped-decorator]
def _shapes(
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


@dataclass(frozen=True)
class _Below:
    """The operator below autograd, as a call whose gradients are formed with its values and kept."""

    keyset: Any
    rest: tuple[Any, ...]

    def compute(self, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
        with torch._C._AutoDispatchBelowAutograd():
            values, grads = torch.ops.dckt.mk_mmd.default.redispatch(
                self.keyset & torch._C._after_autograd_keyset, list(rows), *self.rest
            )
        return values, grads

    def gradients(self, asked: derivatives.Asked) -> list[Tensor | None]:
        if not asked.kept:
            raise RuntimeError("torch.ops.dckt.mk_mmd was called with gradient=False and has no derivative")
        pooled = [grad * times for grad, times in zip(asked.kept, asked.incoming, strict=True)]
        return [grad for layer, grads in enumerate(pooled) for grad in asked.by_rows(layer, grads)]

    def total(self, parts: Tensor) -> Tensor:
        return parts


def _differentiable(keyset: Any, tensors: Sequence[Tensor], *rest: Any) -> tuple[Tensor, list[Tensor]]:
    if torch._C._are_functorch_transforms_active():
        raise RuntimeError(NOT_FUNCTIONAL)
    values, *grads = derivatives.MMD.apply(_Below(keyset, rest), bool(rest[-1]), *tensors)
    return values, grads


def _one_by_one(
    info: Any, in_dims: tuple[Any, ...], tensors: Sequence[Tensor], weights: Sequence[Tensor | None], *rest: Any
) -> tuple[Any, Any]:
    """The operator for each element of a batch that vmap makes, in turn."""

    def elements(given: Sequence[Tensor | None], dims: Sequence[int | None]) -> list[tuple[Tensor | None, ...]]:
        columns = [
            [tensor] * info.batch_size if tensor is None or dim is None else tensor.unbind(dim)
            for tensor, dim in zip(given, dims, strict=True)
        ]
        return list(zip(*columns, strict=True))

    results = [
        torch.ops.dckt.mk_mmd(list(rows), list(u), *rest)
        for rows, u in zip(elements(tensors, in_dims[0]), elements(weights, in_dims[1]), strict=True)
    ]
    values, grads = zip(*results, strict=True)
    stacked = [torch.stack(layer) for layer in zip(*grads, strict=True)]
    return (torch.stack(values), stacked), (0, [0] * len(stacked))


_library = torch.library.Library("dckt", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.impl("mk_mmd", _differentiable, "Autograd", with_keyset=True)  # type: ignore[no-untyped-call]
torch.library.register_vmap(NAME, _one_by_one)
