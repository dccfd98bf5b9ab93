"""mk_mmd with its gradient, and how far both are from explicit differences in float64."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dckt_kernels import mk_mmd


def value_and_gradients(x: Tensor, y: Tensor, incoming: float = 1.0, **options: Any) -> tuple[Tensor, Tensor]:
    """mk_mmd and its gradient by both, stacked [n + m, d], for an incoming gradient."""
    x, y = x.detach().clone().requires_grad_(), y.detach().clone().requires_grad_()
    value = mk_mmd(x, y, **options)
    grads = torch.autograd.grad(value, (x, y), torch.full_like(value, incoming))
    return value.detach(), torch.cat(grads)


def relative_errors(x: Tensor, y: Tensor, incoming: float = 1.0, **options: Any) -> tuple[float, float]:
    """(of the value, of the gradient) against explicit differences in float64, from the same rows."""
    value, grad = value_and_gradients(x, y, incoming, **options)
    exact, exact_grad = value_and_gradients(x.double(), y.double(), incoming, **(options | {"backend": "reference"}))
    return float((value - exact).abs() / exact.abs()), float((grad - exact_grad).norm() / exact_grad.norm())
