"""Matrix products in full precision, by the faster of the libraries that torch brings.

For float32 on a CPU `torch.mm` calls the BLAS that torch was built with. Where that is MKL it leaves AVX-512 unused on
AMD's processors and reaches less than half of what they can do; oneDNN, which is there too, does not.
`torch.backends.mkldnn.enabled = False` turns oneDNN off here as elsewhere in torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

import torch
from torch import Tensor

SMALL = 2**20
"""Multiplications up to which the dispatch to oneDNN costs more than it saves."""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """a [r, k] times b [k, c], plus bias [c] in each row -> [r, c]. No gradient; call it within `full_precision`."""
    if (
        a.dtype == torch.float32
        and a.device.type == "cpu"
        and a.shape[0] * b.shape[0] * b.shape[1] > SMALL
        and torch.backends.mkldnn.enabled
        and _onednn_is_faster()
    ):
        return _by_onednn(a, b, bias)
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


@contextmanager
def full_precision(device_type: str) -> Iterator[None]:
    """No autocast, and no TF32 or bfloat16 inside products of float32: they would undo the float32 accumulation."""
    onednn = torch.backends.mkldnn
    settings = {"cpu": onednn.matmul, "cuda": torch.backends.cuda.matmul}.get(device_type)  # type: ignore[attr-defined]
    with ExitStack() as stack:
        if torch.is_autocast_enabled(device_type):
            stack.enter_context(torch.autocast(device_type, enabled=False))
        if settings is not None and (chosen := settings.fp32_precision) in ("tf32", "bf16"):
            settings.fp32_precision = "ieee"
            stack.callback(setattr, settings, "fp32_precision", chosen)
        yield


def _by_onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """The operator that torch.compile puts in the place of linear layers. It is none of torch's public ones, and reads
    a bias as if it were contiguous.
    """
    bias = None if bias is None else bias.contiguous()
    result: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
    return result


@cache
def _onednn_is_faster() -> bool:
    """True where the processor has AVX-512 and this torch has the operator as it is called here."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and torch.backends.cpu.get_cpu_capability().startswith("AVX512")):
        return False
    rows = torch.arange(6.0).view(2, 3)
    try:
        with torch.no_grad():
            return torch.equal(_by_onednn(rows, rows.t(), rows[:, 0]), torch.addmm(rows[:, 0], rows, rows.t()))
    except (AttributeError, RuntimeError):
        return False
