"""Measure providers on workloads: first whether they are right, then how long they take, then how much they hold.

Times are taken in one process, the providers in turn, round after round, so that a busy machine slows all alike;
medians and the 20th and 80th percentile are kept. `limit` is the time of the two matrix products no exact method can
do without, Z Z^T and W Z (4 N^2 d flops), in the same rounds. By symmetry 3/4 of it would do.
"""

from __future__ import annotations

import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dckt_bench.providers import PROVIDERS, Provider
from dckt_bench.workloads import Pairs, Workload

Clock = Literal["wall", "cpu"]  # cpu: processor time of this process, for a machine shared with others
MODES = ("value", "forward", "backward", "both")
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3, torch.bfloat16: 5e-2, torch.float16: 1e-2}
METRIC: dict[Clock, str] = {"wall": "time", "cpu": "cpu_time"}
MINIMUM_ROUNDS = 5
PATIENCE = 60.0  # seconds after which fewer rounds must do
LIMIT = "limit"


@dataclass(frozen=True)
class Row:
    """One measured number. p20, p50, p80 in `unit`; `vs_limit` = p50 over that of the limit; `note` says why none."""

    provider: str
    device: str
    dtype: str
    threads: int
    workload: str
    mode: str
    metric: str
    unit: str
    p20: float | None
    p50: float | None
    p80: float | None
    vs_limit: float | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


COLUMNS = tuple(Row.__dataclass_fields__)


@dataclass(frozen=True)
class Setting:
    """What all rows of one run share."""

    device: torch.device
    dtype: torch.dtype
    seconds: float = 5.0  # timed at least so long for each workload and mode
    clock: Clock = "wall"

    def row(self, provider: str, workload: str, mode: str, metric: str, unit: str, **numbers: Any) -> Row:
        filled = {"p20": None, "p50": None, "p80": None, "vs_limit": None, "note": ""} | numbers
        return Row(
            provider=provider,
            device=str(self.device),
            dtype=str(self.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            workload=workload,
            mode=mode,
            metric=metric,
            unit=unit,
            **filled,
        )


def run(
    providers: Sequence[str],
    workloads: Sequence[Workload],
    modes: Sequence[str],
    setting: Setting,
    memory: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """The rows, workload by workload: errors of value and gradient, times, peak memory."""
    for workload in workloads:
        fit: list[Provider] = []
        for name in providers:
            provider = PROVIDERS[name]
            progress(f"{workload.name}: checking {name}")
            note, errors = check(provider, workload, setting, gradient=tuple(modes) != ("value",))
            for metric, error in errors.items():
                yield setting.row(name, workload.name, "", metric, "relative", p50=error, note=note)
            if note and not errors:
                yield setting.row(name, workload.name, "", "none", "", note=note)
            if not note:
                fit.append(provider)
        for mode in modes:
            progress(f"{workload.name}: timing {mode}")
            yield from _timed(fit, workload, mode, setting)
        for provider in fit if memory else ():
            progress(f"{workload.name}: memory of {provider.name}")
            mode = "value" if tuple(modes) == ("value",) else "both"
            peak, note = peak_memory(provider.name, workload.name, mode, setting)
            yield setting.row(provider.name, workload.name, mode, "peak", "MB", p50=peak, note=note)


def check(
    provider: Provider, workload: Workload, setting: Setting, gradient: bool = True
) -> tuple[str, dict[str, float]]:
    """(why this provider gets no time, or '', {"value_error": ..., "gradient_error": ...}) against float64."""
    if provider.missing:
        return f"{provider.missing} is not installed", {}
    if provider.equal_batches and any(n != m for n, m, _ in workload.layers):
        return "needs equal batches", {}
    needed = sum(provider.bytes_needed(rows, d) for rows, d in workload.pooled) / (1 if gradient else 2)
    if needed > (available := _available_bytes(setting.device)):
        return f"needs about {needed / 1e9:.1f} GB, and {available / 1e9:.1f} GB may be used", {}
    try:
        pairs = workload.pairs(setting.dtype, setting.device)
        exact = [(x.detach().double().requires_grad_(), y.detach().double().requires_grad_()) for x, y in pairs]
        value, grads = _value_and_gradients(provider.loss, pairs, gradient)
        expected, expected_grads = _value_and_gradients(provider.expected, exact, gradient)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}", {}
    errors = {"value_error": float((value - expected).abs() / expected.abs())}
    if gradient:
        difference = torch.stack([(a - b).norm() for a, b in zip(grads, expected_grads, strict=True)]).norm()
        errors["gradient_error"] = float(difference / torch.stack([g.norm() for g in expected_grads]).norm())
    tolerance = TOLERANCE[setting.dtype]
    wrong = [f"{name} {error:.1e} > {tolerance:.0e}" for name, error in errors.items() if not error <= tolerance]
    return f"wrong: {', '.join(wrong)}" if wrong else "", errors


def _value_and_gradients(loss: Callable[[Pairs], Tensor], pairs: Pairs, gradient: bool) -> tuple[Tensor, list[Tensor]]:
    if not gradient:
        with torch.no_grad():
            return loss(pairs).double(), []
    value = loss(pairs)
    grads = torch.autograd.grad(value, [z for pair in pairs for z in pair])
    return value.detach().double(), [grad.double() for grad in grads]


def _timed(providers: Sequence[Provider], workload: Workload, mode: str, setting: Setting) -> Iterator[Row]:
    pairs = workload.pairs(setting.dtype, setting.device)
    steps = {LIMIT: _limit(workload, mode, setting)}
    steps |= {provider.name: _step(provider.loss, pairs, mode, setting) for provider in providers}
    _settle_allocator()
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    begin = time.perf_counter()
    rounds, elapsed = 0, 0.0
    while (
        rounds == 0 or (rounds < MINIMUM_ROUNDS and elapsed < PATIENCE) or (elapsed < setting.seconds and rounds < 500)
    ):
        for name, step in steps.items():
            step()  # untimed, so that none pays for what the one before it left in the caches
            times[name].append(step())
        rounds, elapsed = rounds + 1, time.perf_counter() - begin
    limit = statistics.median(times[LIMIT])
    for name, seconds in times.items():
        p20, p50, p80 = (1e3 * float(q) for q in _quantiles(seconds))
        yield setting.row(
            name,
            workload.name,
            mode,
            METRIC[setting.clock],
            "ms",
            p20=p20,
            p50=p50,
            p80=p80,
            vs_limit=p50 / (1e3 * limit),
        )


def _settle_allocator() -> None:
    """Free one block of just under 32 MB, after which glibc's malloc keeps freed memory instead of returning it.

    Every program that has trained for a step is in this state; without it each call may pay for fresh pages.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def _quantiles(values: Sequence[float]) -> list[float]:
    return torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.2, 0.5, 0.8]).double()).tolist()


def _step(loss: Callable[[Pairs], Tensor], pairs: Pairs, mode: str, setting: Setting) -> Callable[[], float]:
    """One timed call -> seconds. Gradients are dropped before, as an optimizer's zero_grad does."""
    leaves = [z for pair in pairs for z in pair]

    def step() -> float:
        for leaf in leaves:
            leaf.grad = None
        if mode == "value":
            with torch.no_grad():
                return _seconds(lambda: loss(pairs), setting)
        if mode == "forward":
            return _seconds(lambda: loss(pairs), setting)
        if mode == "backward":
            value = loss(pairs)
            return _seconds(lambda: torch.autograd.backward(value), setting)
        return _seconds(lambda: torch.autograd.backward(loss(pairs)), setting)

    return step


def _limit(workload: Workload, mode: str, setting: Setting) -> Callable[[], float]:
    """The matrix products alone, into memory that is there already: Z Z^T forward, W Z backward.

    Beyond 8192 rows one square of so many is multiplied and the time scaled, so that the limit fits in memory.
    """
    parts = []
    for rows, d in workload.pooled:
        side = min(rows, 8192)
        z = torch.ones(side, d, dtype=setting.dtype, device=setting.device)
        w = torch.ones(side, side, dtype=setting.dtype, device=setting.device)
        parts.append((z, w, torch.empty_like(w), torch.empty_like(z), (rows / side) ** 2))

    def step() -> float:
        total = 0.0
        for z, w, square, tall, scale in parts:
            if mode != "backward":
                total += scale * _seconds(partial(torch.mm, z, z.t(), out=square), setting)
            if mode in ("backward", "both"):
                total += scale * _seconds(partial(torch.mm, w, z, out=tall), setting)
        return total

    return step


def _seconds(call: Callable[[], Any], setting: Setting) -> float:
    clock = time.process_time if setting.clock == "cpu" else time.perf_counter
    if setting.device.type == "cuda":
        torch.cuda.synchronize(setting.device)
    start = clock()
    result = call()
    if setting.device.type == "cuda":
        torch.cuda.synchronize(setting.device)
    stop = clock()
    del result
    return stop - start


def _available_bytes(device: torch.device) -> float:
    """0.7 of what is free, or could be freed."""
    if device.type == "cuda":
        return 0.7 * torch.cuda.mem_get_info(device)[0]
    with suppress(OSError):
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        if found is not None:
            return 0.7 * 1024 * int(found[1])
    if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        return 0.7 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def peak_memory(provider: str, workload: str, mode: str, setting: Setting) -> tuple[float | None, str]:
    """(MB held at most beyond the inputs during one call in a process of its own, or None; why none)."""
    command = [sys.executable, "-m", "dckt_bench.memory", provider, workload, mode]
    command += [str(setting.dtype).removeprefix("torch."), str(setting.device), str(torch.get_num_threads())]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
        return None, last
    return float(json.loads(result.stdout.strip().splitlines()[-1])["peak_mb"]), ""
