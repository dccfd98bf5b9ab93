"""Which device a name means on this machine."""

from __future__ import annotations

import torch

from dckt_core.base.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")


def find_device(name: str) -> torch.device:
    """The device of a name of `DEVICES`; `auto` is an accelerator where there is one.

    Raises:
        UsageError: the name is unknown, or there is no such device on this machine.
    """
    if name not in DEVICES:
        raise UsageError(f"unknown device '{name}' (known: {', '.join(DEVICES)})")
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(name, True):
        raise UsageError(f"device '{name}' is not available on this machine")
    return torch.device(next((kind for kind, there in available.items() if there), "cpu") if name == "auto" else name)
