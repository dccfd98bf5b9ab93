"""`dckt serve` under honest and hostile clients at once, by the load that benchmarks/serve_load.py measures."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import DCKT
from tests.support.needs import part

part("fastapi")
part("uvicorn")

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "serve_load.py"


def benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("serve_load", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow  # a server in a process of its own, half a minute of load, and connections that must time out
def test_the_honest_are_answered_beside_the_hostile(
    trained: Path, record_property: Callable[[str, object], None]
) -> None:
    command = [DCKT, "serve", "runs/squares", "--port", "0", "--quiet", "--device", "cpu"]
    environment = os.environ | {"DCKT_CACHE_DIR": str(trained / "cache"), "OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=trained, env=environment, **pipes) as process:
        try:
            assert process.stdout is not None
            address = re.fullmatch(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline().strip())
            assert address
            found = asyncio.run(benchmark().load(int(address[1]), clients=40, hostiles=50, seconds=25))
        finally:
            process.send_signal(signal.SIGINT)
            told = process.communicate(timeout=60)[1]
    record_property("faults", found["hostile_connections"])
    assert found["faults"] == {}, "no honest client met an error"
    assert found["requests"] > 40
    assert found["hostile_connections"] > 50, "who was thrown out came again"
    assert told == "", "and nobody's log was filled"
    assert process.returncode == 0
