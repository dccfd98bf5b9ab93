"""What is asked for: the layers and the options of one call, checked once, and the ladder of bandwidths they mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

Estimator = Literal["biased", "unbiased", "linear", "quadruple"]
Precision = Literal["tf32x3", "tf32", "ieee"]
Backend = Literal["triton", "closed_form", "reference"]

ESTIMATORS: tuple[str, ...] = get_args(Estimator)
PRECISIONS: tuple[str, ...] = get_args(Precision)
BACKENDS: tuple[str, ...] = get_args(Backend)
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Options:
    """The kernel and the estimator: everything that is not data."""

    kernel_num: int = 5
    kernel_mul: float = 2.0
    estimator: Estimator = "biased"
    bandwidth_grad: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.kernel_num, bool) or not isinstance(self.kernel_num, int) or self.kernel_num < 1:
            raise ValueError(f"kernel_num must be a whole number >= 1, not {self.kernel_num!r}")
        if not (math.isfinite(self.kernel_mul) and self.kernel_mul > 0):
            raise ValueError(f"kernel_mul must be finite and > 0, not {self.kernel_mul!r}")
        if self.estimator not in ESTIMATORS:
            raise ValueError(f"unknown estimator {self.estimator!r} (known: {', '.join(ESTIMATORS)})")

    @property
    def ladder(self) -> list[float]:
        """sigma_k / sigma = kernel_mul ** (k - kernel_num // 2), for k = 0 .. kernel_num - 1."""
        return [self.kernel_mul ** (k - self.kernel_num // 2) for k in range(self.kernel_num)]


class Layer(NamedTuple):
    """One pair of feature matrices and what belongs to it alone. x [n, d], y [m, d], weights [n] and [m]."""

    x: Tensor
    y: Tensor
    sigma: float | None
    weights_x: Tensor | None
    weights_y: Tensor | None


def check_pairs(pairs: Sequence[tuple[Tensor, Tensor]], options: Options) -> None:
    """Raise a one-line ValueError or TypeError naming the layer whose matrices cannot be compared."""
    if not pairs:
        raise ValueError("no pair of feature matrices was given")
    for layer, (x, y) in enumerate(pairs):
        where = f"pair {layer}: " if len(pairs) > 1 else ""
        for name, rows in (("x", x), ("y", y)):
            if rows.ndim != 2:
                raise ValueError(f"{where}{name} must be a matrix [rows, features], not of shape {list(rows.shape)}")
            if rows.dtype not in DTYPES:
                raise TypeError(f"{where}{name} must be float64, float32, bfloat16 or float16, not {rows.dtype}")
            if rows.shape[0] == 0 or rows.shape[1] == 0:
                raise ValueError(f"{where}{name} is empty: shape {list(rows.shape)}")
            if options.estimator != "biased" and rows.shape[0] < 2:
                raise ValueError(f"{where}estimator {options.estimator!r} needs at least 2 rows in {name}, got 1")
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"{where}x has {x.shape[1]} features a row and y has {y.shape[1]}")
        for name, rows in (("x", x), ("y", y)):
            if rows.device != pairs[0][0].device:
                first = "x" if len(pairs) == 1 else "x of pair 0"
                raise ValueError(f"{where}{name} is on {rows.device} and {first} on {pairs[0][0].device}")


def check_sigma(sigma: float | None) -> None:
    """Raise a one-line ValueError unless `sigma` is None or finite and positive."""
    if sigma is not None and not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma must be finite and > 0, not {sigma!r}")


def check_weights(weights: Tensor | None, rows: Tensor, name: str, estimator: str) -> Tensor | None:
    """The sample weights [rows] in the dtype of the computation, or a one-line error.

    Values are looked at only in eager mode: a traced graph cannot branch on them.
    """
    if weights is None:
        return None
    if weights.shape != rows.shape[:1]:
        raise ValueError(f"{name} has shape {list(weights.shape)}, expected [{rows.shape[0]}], one weight a row")
    if weights.device != rows.device:
        raise ValueError(f"{name} is on {weights.device}, the rows are on {rows.device}")
    if weights.requires_grad:
        raise ValueError(f"{name} requires a gradient, which sample weights do not have: pass {name}.detach()")
    weights = weights.to(accumulation_dtype(rows.dtype))
    if not torch.compiler.is_compiling():
        if not bool(torch.isfinite(weights).all()):
            raise ValueError(f"{name} holds a value that is not finite")
        if bool((weights < 0).any()):
            raise ValueError(f"{name} holds a negative value")
        needed = 1 if estimator == "biased" else 2
        if int((weights > 0).sum()) < needed:
            raise ValueError(f"{name}: estimator {estimator!r} needs at least {needed} row(s) of positive weight")
    return weights


def accumulation_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """The dtype of sums and of the result: float64 stays, everything else is float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def widened(pairs: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """The same rows in one dtype, the least that holds all of theirs."""
    dtype = reduce(torch.promote_types, [z.dtype for pair in pairs for z in pair])
    return [(x.to(dtype), y.to(dtype)) for x, y in pairs]
