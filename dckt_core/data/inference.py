"""How inputs pass the module of a frozen encoder: the layout of its weights, its precision, compiled or not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dckt_core.base.errors import DcktError, PluginError, describe
from dckt_core.contract.protocols import Encoder

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Inference:
    """How a frozen encoder computes.

    Attributes:
        precision: `bfloat16` multiplies with 8 significant bits, as torch's autocast does it. Features differ in the
            second or third digit; it is faster where the processor has instructions for it.
        compiled: by torch.compile with frozen weights, which takes a C++ compiler, and the better part of a minute
            before the first batch.
    """

    precision: Precision = "float32"
    compiled: bool = False


PLAIN = Inference()


def rows_of(encoder: Encoder, device: torch.device, how: Inference = PLAIN) -> Callable[[Tensor], Tensor]:
    """The encoder's module, on the device, as a function from inputs [n, ...] to feature rows [n, dim], float32.

    On a CPU the weights of convolutions lie with their channels last, as its kernels want them; rows differ by no more
    than another order of summation does.

    Raises:
        PluginError: when called, where the module raises or gives something of another shape or kind.
    """
    module = encoder.module.to(device).eval()
    if device.type == "cpu":
        module = module.to(memory_format=torch.channels_last)
    passes = _compiled(module) if how.compiled else module

    def rows(inputs: Tensor) -> Tensor:
        with torch.no_grad(), _arithmetic(device, how.precision):
            return _checked(encoder, passes, inputs)

    return rows


def _compiled(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """Compiled for one size of batch, the largest so far: smaller ones are filled up, as each size costs a minute."""
    fast: Callable[[Tensor], Tensor] = torch.compile(module, dynamic=False, options={"freezing": True})
    largest = 0

    def passes(inputs: Tensor) -> Tensor:
        nonlocal largest
        count = len(inputs)
        largest = max(largest, count)
        if count < largest:
            inputs = torch.cat([inputs, inputs[-1:].expand(largest - count, *inputs.shape[1:])])
        return fast(inputs)[:count]

    return passes


def _arithmetic(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _checked(encoder: Encoder, passes: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    try:
        rows = passes(inputs)
    except DcktError:
        raise
    except Exception as error:
        raise PluginError(f"{encoder}: its module raised {describe(error)}") from error
    wanted = (len(inputs), encoder.dim)
    if not isinstance(rows, Tensor) or tuple(rows.shape) != wanted:
        found = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise PluginError(f"{encoder}: its module gave {found}, not {wanted}")
    if not rows.is_floating_point():
        raise PluginError(f"{encoder}: its module gave {rows.dtype}, not floating-point numbers")
    return rows.float()
