"""Queries that come as files: each is gone when its answer is sent, and no error tells where it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from dckt_apps.serve.pictures import check_pixels
from dckt_core.base.errors import DataError
from dckt_core.contract.pairs import Medium
from dckt_core.io.feature_files import read_features
from dckt_core.io.feature_kinds import kind_of

AS_LARGE_AS_SENT = ("npy", "safetensors")
"""Kinds of files of features that hold no more than their bytes; of the others a few may unfold to more than memory."""


@contextmanager
def picture(body: bytes, pixels: int) -> Iterator[Path]:
    """A picture that came as bytes, in a file.

    Raises:
        DataError: it is none, or has more pixels than may be decoded.
    """
    if not body:
        raise DataError("no picture was sent")
    with _lying(body) as file:
        check_pixels(file, pixels)
        yield file


def feature_row(body: bytes, of: Medium) -> Tensor:
    """The only row [d] of a file of features that came as bytes.

    Raises:
        DataError: it is no such file, or holds more rows or none.
    """
    with _lying(body) as file:
        if kind_of(file) not in AS_LARGE_AS_SENT:
            raise DataError(f"a query is one row of features in a file of {' or '.join(AS_LARGE_AS_SENT)}")
        table = read_features(file, medium=of)
        if len(table) != 1:
            raise DataError(f"{len(table)} rows of features, where one is expected")
        return table.take(slice(None))[0]


@contextmanager
def _lying(body: bytes) -> Iterator[Path]:
    """A file with these bytes, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="dckt-serve-") as folder:
        file = Path(folder) / "query"
        file.write_bytes(body)
        try:
            yield file
        except DataError as error:
            raise DataError(str(error).replace(f"{file}: ", "").replace(folder, "")) from None
