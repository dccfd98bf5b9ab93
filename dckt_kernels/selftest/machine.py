"""The machine and its versions: nothing that names a person, a host or a folder."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dckt_kernels.gpu import chips

PACKAGES = ("dckt", "dckt-kernels", "torch", "triton", "numpy")


def machine() -> dict[str, Any]:
    """Processor, system, versions, and the GPUs with what is known of them."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))} | {"torch": torch.__version__},
        "cuda": torch.version.cuda,
        "rocm": torch.version.hip,
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())],
    }


def _gpu(index: int) -> dict[str, Any]:
    device = torch.device("cuda", index)
    found = torch.cuda.get_device_properties(device)
    chip = chips.of(device)
    return {
        "name": found.name,
        "instructions": getattr(found, "gcnArchName", "") or f"sm_{found.major}{found.minor}",
        "row": None if chip is None else chip.name,
        "multiprocessors": found.multi_processor_count,
        "memory": found.total_memory,
        "shared_memory": getattr(found, "shared_memory_per_block_optin", None),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor()
