"""Functions that a compiler should not look into, without importing the compiler for everybody."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def eager(function: Callable[P, T]) -> Callable[P, T]:
    """`torch.compiler.disable`, which imports the compiler, at the first call in a process that has imported it.

    That import takes as long as torch's own, and whoever does not compile has no use for it.
    """
    hidden: list[Callable[P, T]] = []

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not hidden:
            if "torch._dynamo" not in sys.modules:
                return function(*args, **kwargs)
            hidden.append(torch.compiler.disable(function))  # type: ignore[no-untyped-call]
        return hidden[0](*args, **kwargs)

    return call
