"""mk_mmd with its gradient, and how far both are from explicit differences in float64."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dckt_kernels import mk_mmd
from tests.support.tolerance import assert_same

Rows = Callable[..., tuple[Tensor, Tensor]]
"""The fixture of tests/kernels/conftest.py: rows(n, m, d) -> x [n, d], y [m, d]."""

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Whether the tests of both backends run with the Triton kernels, in the interpreter."""

PROMISED = 16 * torch.finfo(torch.float32).eps
"""The relative error of value and gradient that the kernels keep in float32, whatever n, m, d and the offset of the
rows are: a bar for them, not a tolerance. Sums of d numbers, added up carelessly, would be granted more."""


def value_and_gradients(x: Tensor, y: Tensor, incoming: float = 1.0, **options: Any) -> tuple[Tensor, Tensor]:
    """mk_mmd and its gradient by both, stacked [n + m, d], for an incoming gradient."""
    x, y = x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    value = mk_mmd(x, y, **options)
    grads = torch.autograd.grad(value, (x, y), torch.full_like(value, incoming))
    return value.detach(), torch.cat(grads)


def assert_exact(x: Tensor, y: Tensor, incoming: float = 1.0, **options: Any) -> None:
    """Fails unless value and gradient for rows of float64 are those of explicit differences, up to rounding.

    The value is a difference of means of kernels, each at most 1.
    """
    value, grad = value_and_gradients(x, y, incoming, **options)
    exact, exact_grad = value_and_gradients(x, y, incoming, **(options | {"backend": "reference"}))
    pairs = (len(x) + len(y)) ** 2
    assert_same(value, exact, terms=pairs, scale=1)
    assert_same(grad, exact_grad, terms=pairs)


def relative_errors(x: Tensor, y: Tensor, incoming: float = 1.0, **options: Any) -> tuple[float, float]:
    """(of the value, of the gradient) against explicit differences in float64, from the same rows."""
    value, grad = value_and_gradients(x, y, incoming, **options)
    exact, exact_grad = value_and_gradients(x.double(), y.double(), incoming, **(options | {"backend": "reference"}))
    return float((value - exact).abs() / exact.abs()), float((grad - exact_grad).norm() / exact_grad.norm())
