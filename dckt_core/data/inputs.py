"""What a path of a domain network is fed with: cached features, or the inputs of an encoder that trains along."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from dckt_core.base.progress import Progress, logger, silent
from dckt_core.contract.pairs import ImageItem
from dckt_core.contract.protocols import Encoder, Item
from dckt_core.data.features import encode_items
from dckt_core.data.inference import PLAIN, Inference
from dckt_core.data.prepare import Preparer


class Inputs(Protocol):
    """Rows by number. A tensor [n, ...] is one as it is."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        """The rows with these numbers (int64 [k]), as a tensor [k, ...] on the CPU."""
        ...


class PreparedOnDemand:
    """Inputs that are too large to keep: pictures, decoded anew for every batch, in threads, in the order asked for."""

    def __init__(self, encoder: Encoder, items: Sequence[Item]) -> None:
        self._items = items
        self._preparer = Preparer(encoder, items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, rows: Tensor, /) -> Tensor:
        return self._preparer.submit([self._items[row] for row in rows.tolist()])()


def inputs_for(
    encoder: Encoder,
    items: Sequence[Item],
    *,
    device: torch.device,
    batch: int,
    cache_dir: Path,
    how: Inference = PLAIN,
    progress: Progress = silent,
    log: Callable[[str], None] = logger.info,
) -> Inputs:
    """Inputs of a domain network's path, one row an item.

    A frozen encoder runs here, on the device, `batch` items at a time, or its cached features are read. The texts of
    one that trains are prepared here once and kept; its pictures are prepared batch by batch as they are asked for.

    Raises:
        DataError, PluginError: as `encode_items`; for pictures prepared later, when they are asked for.
    """
    if not encoder.trainable:
        return encode_items(
            encoder, items, device=device, batch=batch, cache_dir=cache_dir, how=how, progress=progress, log=log
        )
    lazy = PreparedOnDemand(encoder, items)
    if items and isinstance(items[0], ImageItem):
        return lazy
    return lazy[torch.arange(len(items))]
