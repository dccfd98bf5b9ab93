"""Runs every check that this machine allows and writes one JSON file.

python -m dckt_kernels.selftest [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from dckt_kernels.gpu import configs, is_available
from dckt_kernels.selftest.checks import Check, Figures, NotPossibleError, Place, compiled, modes, values_and_gradients
from dckt_kernels.selftest.machine import machine
from dckt_kernels.selftest.speed import ON_A_CPU, ON_A_GPU, speed

FORM = 1
"""Of the file: raised where its keys change."""
STATES = ("passed", "failed", "not possible")
INTERPRETED = "--interpreted"

Result = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """0, or 1 if a check failed."""
    parser = argparse.ArgumentParser(
        prog="python -m dckt_kernels.selftest",
        description="Checks the kernels on this machine and writes what came out to one JSON file, to be sent back. "
        "It holds the processor, the GPUs, versions, errors and times; no name of a host, a person or a folder.",
    )
    parser.add_argument("--output", type=Path, default=Path("dckt-kernels-selftest.json"), metavar="FILE")
    parser.add_argument(INTERPRETED, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.interpreted:  # in a process of its own, below
        json.dump(list(_run("interpreter", _interpreted())), sys.stdout)
        return 0
    if not given.output.parent.is_dir():
        parser.error(f"no folder '{given.output.parent}' to write '{given.output.name}' to")
    begun = time.perf_counter()
    results = []
    for result in _everything():
        results.append(result)
        print(f"{result['where']:12} {result['check']:34} {_told(result)}", flush=True)
    counted = {state: sum(result["state"] == state for result in results) for state in STATES}
    report = {
        "form": FORM,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": machine(),
        "counted": counted,
        "results": results,
    }
    given.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"{', '.join(f'{count} {state}' for state, count in counted.items())}; written to {given.output}")
    return 1 if counted["failed"] else 0


def _everything() -> Iterator[Result]:
    """On the CPU, on each GPU by the kernels, and in Triton's interpreter."""
    processor = Place("closed_form", torch.device("cpu"), scale=1 / 8)
    yield from _run("cpu", [*values_and_gradients(processor), *modes(processor), *speed(processor, ON_A_CPU)])
    if not torch.cuda.is_available():
        yield from _run("gpu", [Check("the Triton kernels, compiled", _no_gpu)])
    for index in range(torch.cuda.device_count()):
        device = torch.device("cuda", index)
        served = partial(_served, device)
        place = Place("triton" if is_available(device) else "closed_form", device)
        checks = [Check("the Triton kernels, compiled", served)]
        yield from _run(
            f"cuda:{index}", [*checks, *values_and_gradients(place), *modes(place), *speed(place, ON_A_GPU)]
        )
    yield from _in_the_interpreter()


def _no_gpu() -> Figures:
    raise NotPossibleError("there is no GPU")


def _served(device: torch.device) -> Figures:
    if not is_available(device):
        raise NotPossibleError(
            "Triton is not installed, or its table has no such chip: the closed form is checked instead"
        )
    return {}


def _in_the_interpreter() -> Iterator[Result]:
    """The Triton kernels in a process of their own: Triton must know before it is imported that it is to interpret."""
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "dckt_kernels.selftest", INTERPRETED]
    if find_spec("triton") is None:
        yield from _run("interpreter", [Check("the Triton kernels, interpreted", _no_triton)])
        return
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        yield from json.loads(done.stdout)
    except ValueError:
        reason = " ".join(done.stderr.split())[-500:] or f"it ended with {done.returncode}"
        yield {"where": "interpreter", "check": "the process", "state": "failed", "reason": reason, "took": 0.0}


def _no_triton() -> Figures:
    raise NotPossibleError("Triton is not installed")


def _interpreted() -> list[Check]:
    """Few rows, so that it takes seconds; those of the path for many rows are few, too."""
    configs.SMALL_ROWS = 64
    place = Place("triton", torch.device("cpu"), scale=1 / 32)
    return [*values_and_gradients(place), Check("torch.compile", partial(compiled, place))]


def _run(where: str, checks: Iterable[Check]) -> Iterator[Result]:
    for check in checks:
        begun = time.perf_counter()
        result: Result = {"where": where, "check": check.name}
        try:
            figures = check.run()
        except NotPossibleError as reason:
            result |= {"state": "not possible", "reason": str(reason)}
        except Exception as error:  # whatever goes wrong there is what is to be found out
            result |= {"state": "failed", "reason": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
        else:
            result |= {"state": "passed", **figures}
        yield {**result, "took": round(time.perf_counter() - begun, 3)}


def _told(result: Result) -> str:
    """One line about a result."""
    told = str(result["state"])
    if "reason" in result:
        return f"{told}: {result['reason']}"
    if "value_error" in result:
        return f"{told}  value {result['value_error']:.1e}, gradient {result['gradient_error']:.1e}"
    if "gram_over_dckt" in result:
        ours, gram, cdist = result["seconds"]["dckt"], result["gram_over_dckt"], result["cdist_over_dckt"]
        return f"{told}  {1e3 * ours:.3g} ms; Gram takes {gram:.2f}, cdist {cdist:.2f} times as long"
    return told


if __name__ == "__main__":
    sys.exit(main())
