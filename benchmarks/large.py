"""The value of the MMD between 7,207 and 93,070 rows of 79 features: wall and processor seconds, and peak memory.

python benchmarks/large.py [threads]
"""

from __future__ import annotations

import json
import sys
import time

import torch

from dckt_bench.measure import Setting, peak_memory
from dckt_kernels import mk_mmd

N, M, D = 7_207, 93_070, 79


def main(threads: int) -> None:
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(N, D, generator=generator), 1.1 * torch.randn(M, D, generator=generator) + 0.1
    with torch.no_grad():
        mk_mmd(x[:2000], y[:2000])
        wall, processor = time.perf_counter(), time.process_time()
        value = float(mk_mmd(x, y))
        seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor}
    peak, note = peak_memory("dckt", f"{N}:{M}x{D}", "value", Setting(torch.device("cpu"), torch.float32))
    rounded = {name: round(number, 1) for name, number in seconds.items()}
    print(json.dumps({"value": value, "threads": threads, **rounded, "peak_mb": peak, "note": note}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
