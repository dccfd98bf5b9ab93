"""The Triton backend, for CUDA and ROCm. Triton is imported when a kernel is first launched."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from dckt_kernels.gpu.launch import call, chip_of

__all__ = ["call", "is_available"]


def is_available(device: torch.device) -> bool:
    """Whether the kernels can run there: on a GPU that the table of architectures has (chips.py), or on the CPU in
    Triton's interpreter (TRITON_INTERPRET=1)."""
    return find_spec("triton") is not None and chip_of(device) is not None
