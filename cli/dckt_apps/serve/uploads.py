"""Queries that come as files: each is gone when its answer is sent, and no error tells where it was."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dckt_apps.serve.pictures import check_pixels
from dckt_core.base.errors import DataError, UsageError
from dckt_core.contract.pairs import Medium
from dckt_core.io.feature_files import read_features
from dckt_core.io.feature_kinds import kind_of
from dckt_core.retrieval.gallery import Hits
from dckt_core.retrieval.searcher import Searcher

AS_LARGE_AS_SENT = ("npy", "safetensors")
"""Kinds of files of features that hold no more than their bytes; of the others a few may unfold to more than memory."""


def search_picture(searcher: Searcher, body: bytes, k: int, pixels: int, how: Mapping[str, Any]) -> list[Hits]:
    """Searches by a picture that came as bytes.

    Raises:
        DataError: it is none, or has more pixels than may be decoded.
    """
    if not body:
        raise DataError("no picture was sent")
    with _lying(body) as file:
        check_pixels(file, pixels)
        return searcher.search_images([file], k, **how)


def search_features(searcher: Searcher, body: bytes, of: Medium, k: int, how: Mapping[str, Any]) -> list[Hits]:
    """Searches by the only row of a file of features that came as bytes.

    Raises:
        DataError: it is no such file, or holds more rows or none.
    """
    with _lying(body) as file:
        if kind_of(file) not in AS_LARGE_AS_SENT:
            raise DataError(f"a query is one row of features in a file of {' or '.join(AS_LARGE_AS_SENT)}")
        table = read_features(file, medium=of)
        if len(table) != 1:
            raise DataError(f"{len(table)} rows of features, where one is expected")
        return searcher.search_features(table.take(slice(None)), of, k, **how)


@contextmanager
def _lying(body: bytes) -> Iterator[Path]:
    """A file with these bytes, as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="dckt-serve-") as folder:
        file = Path(folder) / "query"
        file.write_bytes(body)
        try:
            yield file
        except (DataError, UsageError) as error:
            raise DataError(str(error).replace(f"{file}: ", "").replace(folder, "")) from None
