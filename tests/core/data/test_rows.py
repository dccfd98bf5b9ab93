"""Arrays as a user has them become float32 rows, or are refused in one line that names the argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from dckt_core.base.errors import ArgumentError
from dckt_core.data.rows import as_rows

ROWS = np.arange(12, dtype=np.float64).reshape(3, 4) / 8  # exact in every type


@pytest.mark.parametrize(
    "value",
    [
        ROWS,
        ROWS.astype(np.float16),
        ROWS[::-1][::-1],
        np.asfortranarray(ROWS),
        ROWS.tolist(),
        torch.from_numpy(ROWS),
        torch.from_numpy(ROWS).bfloat16(),
        torch.from_numpy(ROWS).requires_grad_(),
    ],
)
def test_everything_that_is_rows(value: Any) -> None:
    rows = as_rows(value, "images", width=4)
    assert rows.dtype == torch.float32
    assert rows.device.type == "cpu"
    assert not rows.requires_grad
    assert rows.tolist() == ROWS.tolist()


def test_whole_numbers_and_bools() -> None:
    assert as_rows(np.array([[1, 2]]), "x").tolist() == [[1.0, 2.0]]
    assert as_rows(torch.tensor([[True, False]]), "x").tolist() == [[1.0, 0.0]]


def test_a_file_is_mapped_and_not_written_to(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS.astype(np.float32))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    rows = as_rows(mapped, "images")
    rows.zero_()
    assert mapped.tolist() == ROWS.tolist()


def test_float32_is_not_copied() -> None:
    array = ROWS.astype(np.float32)
    assert as_rows(array, "images").numpy().ctypes.data == array.ctypes.data


def with_nan(*rows: int) -> Any:
    array = ROWS.copy()
    array[list(rows), 1] = np.nan
    return array


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (ROWS[0], "images: an array of shape (4,) is not rows [n, d]. Reshape your data: one row is images[None]"),
        (ROWS[None], "images: an array of shape (1, 3, 4) is not rows [n, d]"),
        (ROWS[:, :0], "images: 0 feature(s) (shape=(3, 0)) while a minimum of 1 is required in a row"),
        (ROWS[:, :3], "images: rows of 3 values, where 4 are expected"),
        (with_nan(1), "images: row 1 holds NaN or infinity, or what is too large for float32"),
        (with_nan(0, 2), "images: row 0 (and 1 more of 3) holds NaN or infinity, or what is too large for float32"),
        (ROWS * 1e300, "images: row 0 (and 2 more of 3) holds NaN or infinity, or what is too large for float32"),
        (ROWS * 1j, "images: Complex data not supported"),
        (ROWS.astype(object), "images: an array of object, where numbers are expected"),
        ("rows.npy", "images: str, where numbers are expected"),
        (None, "images: NoneType, where numbers are expected"),
        (["a", "b"], "images: an array of <U1, where numbers are expected"),
        (csr_matrix(ROWS), "images: a sparse array; give a dense one, such as images.toarray()"),
        (torch.from_numpy(ROWS).to_sparse(), "images: a sparse array; give a dense one, such as images.toarray()"),
    ],
)
def test_what_is_no_rows_is_refused_in_one_line(value: Any, says: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        as_rows(value, "images", width=4)
    assert str(caught.value) == says
    assert isinstance(caught.value, ValueError)


def test_rows_of_unequal_length() -> None:
    with pytest.raises(ArgumentError, match="^images: not an array: "):
        as_rows([[1.0], [1.0, 2.0]], "images")
