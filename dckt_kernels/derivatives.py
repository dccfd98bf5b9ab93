"""The MMD as torch differentiates it: one function for every backend, in reverse and in forward mode.

A backend computes values, keeps what the gradient takes, and forms the gradient from it; that is a `Call`. What torch
asks of a differentiable function follows from these two: the backward pass, tangents (the gradient is there, so a
tangent of the value is a dot product), batches by `vmap` (one after the other), a second derivative that is refused
instead of being silently zero, and arithmetic that autocast does not reach.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from dckt_kernels.eager import eager
from dckt_kernels.product import full_precision

NO_SECOND_DERIVATIVE = "this MMD backend has no second derivatives: pass backend='reference', which has them"


@dataclass(frozen=True)
class Asked:
    """What a call's gradients are asked for.

    Attributes:
        rows: x_0, y_0, x_1, y_1, ...
        kept: what `compute` gave for them.
        incoming: the gradient of the values [L].
        needed: by which of the rows.
        dtype: of the gradients; None for the rows' own.
    """

    rows: Sequence[Tensor]
    kept: Sequence[Tensor]
    incoming: Tensor
    needed: Sequence[bool]
    dtype: torch.dtype | None

    def by_rows(self, layer: int, pooled: Tensor) -> list[Tensor | None]:
        """A layer's gradient by its pooled rows [n + m, d], as that by x and that by y, where they are needed."""
        x, y = self.rows[2 * layer : 2 * layer + 2]
        parts = (pooled[: x.shape[0]].to(self.dtype or x.dtype), pooled[x.shape[0] :].to(self.dtype or y.dtype))
        return [part if need else None for part, need in zip(parts, self.needed[2 * layer :], strict=False)]


class Call(Protocol):
    """What is to be computed of L pairs of matrices, rows = x_0, y_0, x_1, y_1, ..., apart from their numbers."""

    def compute(self, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
        """The values [L], and the tensors that `gradients` takes (none unless `gradient`)."""

    def gradients(self, asked: Asked) -> list[Tensor | None]:
        """The gradient by each of the rows that is needed."""

    def total(self, parts: Tensor) -> Tensor:
        """The derivatives of the values [L] from those along the tangents of the rows that this process has."""


def mmd(call: Call, rows: Sequence[Tensor]) -> Tensor:
    """The values [L] of `call`, differentiable once."""
    if wants_gradient(rows):
        values: Tensor = MMD.apply(call, True, *rows)[0]
        return values
    return MMD.forward(call, False, *rows)[0]


def wants_gradient(rows: Sequence[Tensor]) -> bool:
    """Whether a derivative may be asked for. Within torch.func it may: what it wraps does not tell."""
    if torch._C._are_functorch_transforms_active():
        return True
    return (torch.is_grad_enabled() and any(z.requires_grad for z in rows)) or has_tangents(rows)


def has_tangents(tensors: Sequence[Tensor]) -> bool:
    """Whether one of them carries a tangent of torch.autograd.forward_ad."""
    return any(unpack_dual(z).tangent is not None for z in tensors)  # type: ignore[no-untyped-call]


@eager
def _compute(call: Call, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
    """Not for a compiler to look into, which has the operator."""
    with full_precision(rows[0].device.type):
        return call.compute(rows, gradient)


@eager
def _gradients(call: Call, asked: Asked) -> list[Tensor | None]:
    """The same of the gradients."""
    with full_precision(asked.incoming.device.type):
        return call.gradients(asked)


class MMD(torch.autograd.Function):
    """values [L], then what is kept for the gradient and is no result."""

    @staticmethod
    def forward(call: Call, gradient: bool, *rows: Tensor) -> tuple[Tensor, ...]:
        values: Tensor
        values, kept = _compute(call, rows, gradient)
        return values, *kept

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.call, _, *rows = inputs
        ctx.count = len(rows)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(*rows, *output[1:])
        ctx.save_for_forward(*rows, *output[1:])

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor | None) -> tuple[Tensor | None, ...]:
        if incoming[0] is None:
            return tuple([None] * (2 + ctx.count))
        needed, saved = ctx.needs_input_grad[2:], ctx.saved_tensors
        # Only a gradient that may be transformed again needs to be a function of its own.
        again = torch.is_grad_enabled() or torch._C._are_functorch_transforms_active() or has_tangents(saved)
        gradient = Gradient.apply if again else Gradient.forward
        grads: Sequence[Tensor | None] = gradient(ctx.call, needed, None, incoming[0], *saved)
        return (None, None, *grads)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        given, saved = tangents[2:], ctx.saved_tensors
        rows = saved[: ctx.count]
        dtype = torch.float64 if rows[0].dtype == torch.float64 else torch.float32
        ones = torch.ones(ctx.count // 2, dtype=dtype, device=rows[0].device)
        grads = Gradient.apply(ctx.call, [tangent is not None for tangent in given], dtype, ones, *saved)
        # Not a product of vectors: autocast would round it.
        parts = [
            ones.new_zeros(()) if tangent is None else (grad * tangent.to(dtype)).sum()
            for grad, tangent in zip(grads, given, strict=True)
        ]
        along: Tensor = ctx.call.total(torch.stack([x + y for x, y in zip(parts[::2], parts[1::2], strict=True)]))
        return (along, *(None for _ in saved[ctx.count :]))

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Any, Any]:
        return _one_by_one(MMD, info.batch_size, in_dims, inputs)


class Gradient(torch.autograd.Function):
    """The first derivative, as a function in its own right so that a second one is refused in so many words."""

    @staticmethod
    def forward(
        call: Call, needed: Sequence[bool], dtype: torch.dtype | None, incoming: Tensor, *saved: Tensor
    ) -> tuple[Tensor | None, ...]:
        count = len(needed)
        return tuple(_gradients(call, Asked(saved[:count], saved[count:], incoming, needed, dtype)))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor | None, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        raise RuntimeError(NO_SECOND_DERIVATIVE)

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> tuple[Tensor | None, ...]:
        raise RuntimeError(NO_SECOND_DERIVATIVE)

    @staticmethod
    def vmap(info: Any, in_dims: Sequence[int | None], *inputs: Any) -> tuple[Any, Any]:
        return _one_by_one(Gradient, info.batch_size, in_dims, inputs)


def _one_by_one(
    function: type[torch.autograd.Function], batch: int, in_dims: Sequence[int | None], inputs: Sequence[Any]
) -> tuple[tuple[Tensor | None, ...], tuple[int | None, ...]]:
    """The results for each element of a batch, stacked. in_dims: the batch dimension of each input, None for none."""
    elements = [
        [given] * batch if not isinstance(given, Tensor) or dim is None else given.unbind(dim)
        for given, dim in zip(inputs, in_dims, strict=True)
    ]
    results = [function.apply(*element) for element in zip(*elements, strict=True)]
    stacked = tuple(None if column[0] is None else torch.stack(column) for column in zip(*results, strict=True))
    return stacked, tuple(None if column is None else 0 for column in stacked)


# `apply` asks for the signature of a forward that has a setup_context on every call; working it out takes 40 us.
for _function in (MMD, Gradient):
    _function.forward.__signature__ = inspect.signature(_function.forward)  # type: ignore[union-attr]
