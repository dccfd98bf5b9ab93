"""Rows of features as a user has them in memory: arrays of numpy, torch or anything that numpy reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dckt_core.base.errors import ArgumentError, one_line

LARGEST = float(np.finfo(np.float32).max)
NUMBERS = "fiub"
"""Kinds of numpy's types that are numbers: floating-point, whole, unsigned, bool."""


def as_rows(value: Any, name: str, *, width: int | None = None, like: str = "") -> Tensor:
    """Feature rows [n, d], float32, on the CPU, all finite. A float32 array that may be written to is not copied.

    Args:
        value: of numpy, a memory-mapped file's too, of torch on any device, or nested lists.
        name: what errors call it.
        width: d, where it is known.
        like: what else has rows of that width, for the error.

    Raises:
        ArgumentError: it is something else, of another shape, or a value is no finite float32; or so large that
            variances and lengths are none.
    """
    array = as_numbers(value, name)
    if array.ndim != 2:
        hint = f". Reshape your data: one row is {name}[None]" if array.ndim == 1 else ""
        raise ArgumentError(f"{name}: an array of shape {_shape(array)} is not rows [n, d]{hint}")
    if array.shape[1] == 0:
        raise ArgumentError(f"{name}: 0 feature(s) (shape={_shape(array)}) while a minimum of 1 is required in a row")
    if width is not None and array.shape[1] != width:
        why = f"and those of {like} have {width}" if like else f"where {width} are expected"
        raise ArgumentError(f"{name}: rows of {array.shape[1]} values, {why}")
    with np.errstate(over="ignore"):  # becomes infinite, which is seen below
        array = np.ascontiguousarray(array, dtype=np.float32)
    rows = torch.from_numpy(array if array.flags.writeable else array.copy())
    bad = (~torch.isfinite(rows).all(dim=1)).nonzero().squeeze(1)
    if len(bad):
        more = f" (and {len(bad) - 1} more of {len(rows)})" if len(bad) > 1 else ""
        raise ArgumentError(f"{name}: row {int(bad[0])}{more} holds NaN or infinity, or what is too large for float32")
    if len(rows):
        peaks = rows.abs().amax(dim=1)
        if float(peaks.max()) > (LARGEST / rows.numel()) ** 0.5:
            raise ArgumentError(
                f"{name}: row {int(peaks.argmax())} holds {float(peaks.max()):g}, of which float32 can take no "
                "variance; scale the rows"
            )
    return rows


def as_numbers(value: Any, name: str) -> np.ndarray[Any, Any]:
    """An array of numbers, or of bools, of any shape.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(value, Tensor) and value.layout == torch.strided:
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()  # numpy knows no bfloat16
    if hasattr(value, "toarray") or isinstance(value, Tensor):
        raise ArgumentError(f"{name}: a sparse array; give a dense one, such as {name}.toarray()")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name}: not an array: {one_line(str(error))}") from None
    if array.dtype.kind == "c":
        raise ArgumentError(f"{name}: Complex data not supported")
    if array.dtype.kind not in NUMBERS:
        held = type(value).__name__ if array.ndim == 0 else f"an array of {array.dtype}"
        raise ArgumentError(f"{name}: {held}, where numbers are expected")
    return array


def _shape(array: np.ndarray[Any, Any]) -> str:
    return str(tuple(array.shape))
