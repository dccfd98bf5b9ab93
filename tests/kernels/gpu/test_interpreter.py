"""Runs what follows in a process of its own, where Triton's kernels are interpreted instead of compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import part

part("triton")

HERE = Path(__file__).parent


CHECKS = ["interpreted.py", "../test_transformations.py", "../test_scale.py"]


@pytest.mark.early
def test_kernels_in_the_interpreter() -> None:
    files = [str(HERE / name) for name in CHECKS]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *files],
        env={**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
