"""Embeddings by id for others: a Parquet file, or Faiss's own with the ids beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dckt_core.data.metadata import as_cell
from dckt_core.exports.needs import need
from dckt_core.io.feature_files import FACTS, FeatureTable
from dckt_core.io.files import write_atomically
from dckt_core.io.json import write_lines

BLOCK = 1 << 14
"""Rows of a group of Parquet's."""

Item = Mapping[str, Any]
"""What is known of a row: its `id`, and `image`, `text`, `label`, `split` and `metadata` where they are known."""


def write_parquet(file: Path, items: Sequence[Item], rows: Tensor) -> None:
    """Rows [n, d] as the column `features`, lists of d 32-bit floats, beside what is known of them, `metadata` in JSON.

    Raises:
        UsageError: the package pyarrow is not there.
    """
    pq, table = need("pyarrow.parquet", extra="parquet"), _as_table(items, rows)
    write_atomically(file, lambda temporary: pq.write_table(table, temporary, row_group_size=BLOCK))


def to_dataset(features: FeatureTable) -> Any:
    """Features as a `datasets.Dataset`, with the columns of a Parquet file of them; `read_features` takes it back.

    Raises:
        UsageError: the package datasets is not there.
    """
    datasets = need("datasets", extra="datasets")
    items = [{"id": name, **features.known(number)} for number, name in enumerate(features.ids)]
    return datasets.Dataset(datasets.table.InMemoryTable(_as_table(items, features.take(slice(None)))))


def _as_table(items: Sequence[Mapping[Any, Any]], rows: Tensor) -> Any:
    pa = need("pyarrow", extra="parquet")
    told = [fact for fact in FACTS if any(fact in item for item in items)]
    values = np.ascontiguousarray(rows.numpy(), dtype=np.float32)
    columns: dict[str, Any] = {fact: pa.array([_cell(item.get(fact)) for item in items], pa.string()) for fact in told}
    columns["features"] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.table(columns)


def _cell(value: Any) -> str | None:
    """A fact as a text."""
    return as_cell(value) if isinstance(value, Mapping) else value


def write_faiss(file: Path, items: Sequence[Item], rows: Tensor) -> Path:
    """A flat index of inner products over rows [n, d] of unit length, and `<file>.items.jsonl` with a line a row.

    Returns:
        The file of the items.

    Raises:
        UsageError: the package faiss is not there.
    """
    faiss = need("faiss", extra="faiss")
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(np.ascontiguousarray(rows.numpy(), dtype=np.float32))
    write_atomically(file, lambda temporary: faiss.write_index(index, str(temporary)))
    beside = file.with_name(f"{file.name}.items.jsonl")
    write_lines(beside, items)
    return beside
