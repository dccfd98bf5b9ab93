"""What follows from shapes and options alone, put on the device once: a call copies nothing there and never waits.

So a CUDA graph can be captured of a call. The graph reads the tables anew each time, so those that it met while it was
captured are kept for good.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def once(make: Callable[P, T]) -> Callable[P, T]:
    """`make` with its last 256 results kept, by its arguments, and those for good that a CUDA graph was captured with.

    Raises:
        RuntimeError: a graph is being captured and what is asked for is not there: it cannot be copied then.
    """
    captured: dict[tuple[object, ...], T] = {}

    @lru_cache(maxsize=256)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> T:
        if capturing():
            raise RuntimeError("a CUDA graph can be captured of mk_mmd after one call with the same shapes and options")
        with torch.inference_mode(False):
            return make(*args, **kwargs)

    @wraps(make)
    def kept(*args: P.args, **kwargs: P.kwargs) -> T:
        if args in captured:
            return captured[args]
        made = remembered(*args, **kwargs)  # type: ignore[arg-type]
        if capturing():
            captured[args] = made
        return made

    kept.cache_clear = remembered.cache_clear  # type: ignore[attr-defined]
    kept.captured = captured  # type: ignore[attr-defined]
    return kept


@once
def table(numbers: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The numbers on the device [count]."""
    return torch.tensor(numbers, dtype=dtype, device=device)


def capturing() -> bool:
    """Whether the current stream is being captured into a CUDA graph."""
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
