"""Which backend answers a call."""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_kernels.options import BACKENDS, Backend


def resolve_backend(x: Tensor, backend: Backend | None = None) -> Backend:
    """The backend that answers a "biased" or "unbiased" call on rows like `x`: the one named, or the first that can.

    Order: "triton" (chips of CUDA and ROCm that its table has, not float64), "closed_form". Raises ValueError if the
    one named cannot serve `x`.
    """
    if backend is not None and backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r} (known: {', '.join(BACKENDS)})")
    if backend == "triton":
        if x.dtype == torch.float64:
            raise ValueError("backend 'triton' has no float64: use 'closed_form' or 'reference'")
        from dckt_kernels import gpu

        if not gpu.is_available(x.device):
            raise ValueError(f"backend 'triton' cannot run on {x.device}: use 'closed_form' or 'reference'")
        return "triton"
    if backend is not None:
        return backend
    if x.is_cuda and x.dtype != torch.float64:
        from dckt_kernels import gpu

        if gpu.is_available(x.device):
            return "triton"
    return "closed_form"
