"""Values, gradients and modes against explicit differences in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dckt_kernels import mk_mmd, mk_mmd_many, sinkhorn_divergence
from dckt_kernels.options import Backend

PROMISED = 16 * torch.finfo(torch.float32).eps
"""Relative error of value and gradient in float32."""
BARS = {"float32": PROMISED, "tf32": 5e-3, "bfloat16": 1e-2, "float16": 2e-3}
"""The largest relative errors, by what is multiplied."""

Figures = dict[str, Any]


class NotPossibleError(Exception):
    """Why a check cannot be made here."""


@dataclass(frozen=True)
class Check:
    """One thing to be found out; `run` gives figures, or raises NotPossibleError or AssertionError."""

    name: str
    run: Callable[[], Figures]


@dataclass(frozen=True)
class Place:
    """Where the kernels are checked.

    Attributes:
        scale: how many rows there are, as a share of those on a GPU.
    """

    backend: Backend
    device: torch.device
    scale: float = 1.0

    def rows(self, n: int, m: int, d: int, dtype: torch.dtype = torch.float32, offset: float = 0.0) -> list[Tensor]:
        """x [n, d] and y [m, d], the second shifted and wider; the same numbers on every machine."""
        generator = torch.Generator().manual_seed(n + 31 * m + 997 * d)
        x = torch.randn(n, d, generator=generator) + offset
        y = 1.2 * torch.randn(m, d, generator=generator) + 0.2 + offset
        return [z.to(self.device, dtype).requires_grad_() for z in (x, y)]

    def many(self, rows: int) -> int:
        return max(2, round(rows * self.scale))


def errors(place: Place, pairs: Sequence[Sequence[Tensor]], **how: Any) -> Figures:
    """The largest relative errors of the values and of the gradients of several layers in one call."""
    found = []
    for backend in (place.backend, "reference"):
        leaves = [z if backend != "reference" else z.detach().double().requires_grad_() for pair in pairs for z in pair]
        values = mk_mmd_many(list(zip(leaves[::2], leaves[1::2], strict=True)), backend=backend, **how)
        found.append((values.detach().double(), [grad.double() for grad in torch.autograd.grad(values.sum(), leaves)]))
    (values, grads), (exact, exact_grads) = found
    value = float(((values - exact).abs() / exact.abs().clamp_min(1e-6)).max())
    gradient = max(float((g - e).norm() / e.norm().clamp_min(1e-9)) for g, e in zip(grads, exact_grads, strict=True))
    return {"value_error": value, "gradient_error": gradient}


def within(figures: Figures, bar: float) -> Figures:
    """The figures with the bar that they keep; AssertionError if not, or if they are no numbers."""
    worst = max(figures["value_error"], figures["gradient_error"])
    if not worst <= bar:
        raise AssertionError(f"error {worst:.1e}, at most {bar:.1e} are allowed")
    return {**figures, "bar": bar}


def values_and_gradients(place: Place) -> Iterator[Check]:
    """Shapes, offsets, options and dtypes, on the paths for few rows and for many."""

    def check(name: str, bar: float, pairs: Callable[[], list[list[Tensor]]], **how: Any) -> Check:
        return Check(name, lambda: within(errors(place, pairs(), **how), bar))

    exact, many = BARS["float32"], place.many

    def odd() -> list[list[Tensor]]:
        return [place.rows(20, 21, 127), place.rows(1, 3, 40), place.rows(many(64), many(64), many(4096))]

    def large() -> list[list[Tensor]]:
        return [place.rows(many(3000), many(2100), 100)]

    def offset() -> list[list[Tensor]]:
        return [place.rows(20, 21, 128, offset=1000.0)]

    def few(width: int = 127, dtype: torch.dtype = torch.float32) -> list[list[Tensor]]:
        return [place.rows(20, 21, width, dtype=dtype)]

    yield check("few rows, odd shapes together", 2 * exact, odd)
    yield check("many rows", 2 * exact, large)
    yield check("a common offset of 1000", 2 * exact, offset)
    for name, how in (
        ("unbiased", {"estimator": "unbiased"}),
        ("a fixed bandwidth", {"sigma": 50.0}),
        ("a gradient through the bandwidth", {"bandwidth_grad": True}),
        ("kernel_mul 3", {"kernel_mul": 3.0, "kernel_num": 4}),
    ):
        yield check(name, 2 * exact, few, **how)
    weights = [torch.linspace(0, 2, 20, device=place.device)]
    yield check("weights", 2 * exact, partial(few, 50), weights_x=weights)
    if place.backend == "triton":
        yield check("precision ieee", 2 * exact, large, precision="ieee")
        yield check("precision tf32", BARS["tf32"], large, precision="tf32")
    for dtype in (torch.bfloat16, torch.float16):
        name = str(dtype).removeprefix("torch.")
        yield check(name, BARS[name], partial(few, 128, dtype))
    yield Check("the same bits twice", partial(same_bits, place))
    yield Check("optimal transport", partial(transport, place))


def same_bits(place: Place) -> Figures:
    x, y = place.rows(place.many(700), place.many(600), 40)
    first, second = (
        (value.detach(), *torch.autograd.grad(value, (x, y)))
        for value in (mk_mmd(x, y, backend=place.backend) for _ in range(2))
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "two calls differ"
    return {}


def transport(place: Place) -> Figures:
    """The divergence and its gradient against float64."""
    found = []
    for backend, dtype in ((place.backend, torch.float32), ("reference", torch.float64)):
        x, y = (z.detach().to(dtype).requires_grad_() for z in place.rows(place.many(300), place.many(350), 33))
        value = sinkhorn_divergence(x, y, eps=10.0, tolerance=1e-6, max_sweeps=5000, backend=backend).value
        found.append((value.detach().double(), torch.autograd.grad(value, x)[0].double()))
    (value, gradient), (exact, exact_gradient) = found
    figures = {
        "value_error": float((value - exact).abs() / exact.abs()),
        "gradient_error": float((gradient - exact_gradient).norm() / exact_gradient.norm()),
    }
    return within(figures, 1e-4)


# --- modes ----------------------------------------------------------------------------------------------------


def modes(place: Place) -> Iterator[Check]:
    """What training puts round a call."""
    yield Check("torch.compile", partial(compiled, place))
    yield Check("autocast", partial(autocast, place))
    yield Check("CUDA graph", partial(graph, place))
    yield Check("a second device", partial(second_device, place))


def compiled(place: Place) -> Figures:
    backend = "inductor" if place.device.type == "cuda" else "aot_eager"
    call = torch.compile(lambda x, y: mk_mmd(x, y, backend=place.backend), fullgraph=True, backend=backend)
    return {**_as_eager(place, call), "compiler": backend}


def autocast(place: Place) -> Figures:
    dtype = torch.float16 if place.device.type == "cuda" else torch.bfloat16

    def call(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(place.device.type, dtype=dtype):
            return mk_mmd(x, y, backend=place.backend)

    return _as_eager(place, call)


def _as_eager(place: Place, call: Callable[[Tensor, Tensor], Tensor]) -> Figures:
    """A call in some mode, with its gradient, against a plain one."""
    x, y = place.rows(40, 44, 96)
    found = [(value.detach(), torch.autograd.grad(value, x)[0]) for value in (call(x, y), mk_mmd(x, y))]
    (value, gradient), (plain, plain_gradient) = found
    figures = {
        "value_error": float((value - plain).abs() / plain.abs()),
        "gradient_error": float((gradient - plain_gradient).norm() / plain_gradient.norm()),
    }
    return within(figures, 2 * BARS["float32"])


def graph(place: Place) -> Figures:
    """A call and its gradient, captured, replayed with other numbers in the same place."""
    if place.device.type != "cuda":
        raise NotPossibleError("there is no GPU")
    pairs = [place.rows(64, 64, 512), place.rows(700, 600, 128)]
    leaves = [z for pair in pairs for z in pair]

    def step() -> tuple[Tensor, ...]:
        values = mk_mmd_many([(x, y) for x, y in pairs], backend=place.backend)
        return (values.detach(), *torch.autograd.grad(values.sum(), leaves))

    aside = torch.cuda.Stream(place.device)  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream(place.device))
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream(place.device).wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        held = step()
    with torch.no_grad():
        for z in leaves:
            z.mul_(1.5).add_(0.1)
    captured.replay()
    torch.cuda.synchronize(place.device)
    assert all(torch.equal(a, b) for a, b in zip(held, step(), strict=True)), "a replayed graph differs from a call"
    return {}


def second_device(place: Place) -> Figures:
    """Rows on another GPU than the current one."""
    if torch.cuda.device_count() < 2:
        raise NotPossibleError("there is one GPU" if torch.cuda.is_available() else "there is no GPU")
    other = Place(place.backend, torch.device("cuda", 1))
    return within(errors(other, [other.rows(64, 64, 512), other.rows(700, 600, 100)]), 2 * BARS["float32"])
