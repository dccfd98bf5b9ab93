"""The peak memory of one call: python -m dckt_bench.memory PROVIDER WORKLOAD MODE DTYPE DEVICE THREADS -> JSON.

A process of its own, since a peak leaves its mark on everything after it. Counted beyond the inputs: the caller's
gradient tensors are part of it. Libraries are warmed up first, on a small call that needs all of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from dckt_bench.providers import PROVIDERS
from dckt_bench.workloads import Pairs, parse


def main(provider: str, workload: str, mode: str, dtype: str, device: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    loss = PROVIDERS[provider].loss
    where = torch.device(device)
    kind = getattr(torch, dtype)

    def call(pairs: Pairs) -> None:
        if mode == "value":
            with torch.no_grad():
                loss(pairs)
        else:
            torch.autograd.backward(loss(pairs))

    call(parse("16x1040").pairs(kind, where))
    pairs = parse(workload).pairs(kind, where)
    with Peak(where) as peak:
        call(pairs)
    print(json.dumps({"peak_mb": peak.megabytes}))


class Peak:
    """The most that is held beyond what was there before, of this process or of a GPU.

    Attributes:
        megabytes: known at the end of the `with` block.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.megabytes = 0.0

    def __enter__(self) -> Peak:
        if self._device.type == "cuda":
            self._before = torch.cuda.memory_allocated(self._device)
            torch.cuda.reset_peak_memory_stats(self._device)
        else:
            self._before = _resident()
            _reset_peak()
        return self

    def __exit__(self, *raised: object) -> None:
        highest = torch.cuda.max_memory_allocated(self._device) if self._device.type == "cuda" else _peak()
        self.megabytes = max(highest - self._before, 0) / 1e6


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def _resident() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmRSS")
    return _maximum_so_far()


def _peak() -> int:
    if Path("/proc/self/status").exists():
        return _status("VmHWM")
    return _maximum_so_far()


def _maximum_so_far() -> int:
    """Without /proc: the highest ever, in bytes (macOS counts bytes, others kilobytes)."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _reset_peak() -> None:
    """Linux forgets the highest mark on request; elsewhere the inputs' making may hide a smaller peak."""
    path = Path("/proc/self/clear_refs")
    if path.exists():
        path.write_text("5")


if __name__ == "__main__":
    main(*sys.argv[1:])
