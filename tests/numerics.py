"""Runs the tests marked `numerics` as other processors would, with one thread and with two: `make numerics`.

A processor is told to torch, MKL and oneDNN to be without what newer ones have. Words after the command go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PROCESSORS = {
    "SSE4": {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "this processor": {},
}
WAITING = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0"}
"""Threads that wait for each other sleep: the products of tests are small, and the cores few."""


TESTS = Path(__file__).parent


def marked() -> list[str]:
    """The files that hold such tests: to look through the others costs more than these tests do."""
    return [str(file) for file in sorted(TESTS.rglob("test_*.py")) if "pytest.mark.numerics" in file.read_text("utf-8")]


def main(arguments: Sequence[str]) -> int:
    for name, variables in PROCESSORS.items():
        for threads in ("1", "2"):
            print(f"\n{name}, {threads} thread(s)", flush=True)
            environment = os.environ | variables | WAITING | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
            command = [sys.executable, "-m", "pytest", "-q", "-m", "numerics", *marked(), *arguments]
            if code := subprocess.run(command, cwd=TESTS.parent, env=environment).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
