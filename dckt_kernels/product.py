"""Matrix products in full precision, by the faster of the libraries that torch brings.

For float32 on a CPU `torch.mm` calls the BLAS that torch was built with. Where that is MKL it leaves AVX-512 unused on
AMD's processors and reaches less than half of what they can do; oneDNN, which is there too, does not.
`torch.backends.mkldnn.enabled = False` turns oneDNN off here as elsewhere in torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

SMALL = 2**20
"""Multiplications up to which the dispatch to oneDNN costs more than it saves."""

STEP = 16
"""Batches whose sizes are multiples of this go to oneDNN. For each new shape it compiles about a megabyte of code and
keeps it: batches of every size would fill a gigabyte.
"""


def product(a: Tensor, b: Tensor, bias: Tensor | None = None, *, batch: Sequence[int]) -> Tensor:
    """a [r, k] times b [k, c], plus bias [c] in each row -> [r, c]. No gradient; call it within `full_precision`.

    batch: the numbers of rows of the caller's batch that r, k or c come from, as told from its width d.
    """
    if (
        a.dtype == torch.float32
        and a.device.type == "cpu"
        and all(size % STEP == 0 for size in batch)
        and a.shape[0] * b.shape[0] * b.shape[1] > SMALL
        and torch.backends.mkldnn.enabled
        and onednn_is_faster()
    ):
        return _by_onednn(a, b, bias)
    return torch.mm(a, b) if bias is None else torch.addmm(bias, a, b)


def onednn_is_faster() -> bool:
    """Whether this is one of AMD's processors with AVX-512 and this torch has the operator as it is called here."""
    try:
        return _probe()
    except (AttributeError, RuntimeError):  # no such operator, or none that computes just now: torch is tracing
        return False


@contextmanager
def full_precision(device_type: str) -> Iterator[None]:
    """No autocast, and on a CPU no TF32 or bfloat16 inside products of float32: they would undo the float32
    accumulation. On CUDA torch's own setting for TF32 holds.
    """
    with ExitStack() as stack:
        if torch.is_autocast_enabled(device_type):
            stack.enter_context(torch.autocast(device_type, enabled=False))
        if device_type == "cpu":
            stack.enter_context(_ieee)
        yield


class _Ieee:
    """Sets the precision of float32 products, which is one for all threads, while at least one of them needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ""

    def __enter__(self) -> None:
        setting = _setting()
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = setting.fp32_precision
                if self._before in ("tf32", "bf16"):
                    setting.fp32_precision = "ieee"

    def __exit__(self, *raised: object) -> None:
        setting = _setting()
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before in ("tf32", "bf16"):
                setting.fp32_precision = "none"  # what it inherits; its own only where that is something else
                if setting.fp32_precision != self._before:
                    setting.fp32_precision = self._before


_ieee = _Ieee()


def _setting() -> Any:
    return torch.backends.mkldnn.matmul  # type: ignore[attr-defined]


def _by_onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """The operator that torch.compile puts in the place of linear layers. It is none of torch's public ones, and reads
    a bias as if it were contiguous.
    """
    bias = None if bias is None else bias.contiguous()
    result: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
    return result


@cache
def _probe() -> bool:
    """Raises AttributeError or RuntimeError where the operator cannot be called; then nothing is remembered."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not (available and torch.backends.cpu.get_cpu_capability().startswith("AVX512") and _amd()):
        return False
    rows = torch.arange(6, dtype=torch.float32, device="cpu").view(2, 3)
    bias = torch.ones(2, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        return torch.equal(_by_onednn(rows, rows.t(), bias), torch.addmm(bias, rows, rows.t()))


def _amd() -> bool:
    try:
        return "AuthenticAMD" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
