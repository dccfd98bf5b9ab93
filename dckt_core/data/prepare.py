"""Runs an encoder's `prepare` in threads, so that pictures are decoded while the network computes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import DcktError, PluginError, describe
from dckt_core.contract.pairs import ImageItem
from dckt_core.contract.protocols import Encoder

MAX_THREADS = 8


class Preparer:
    """Turns items into module inputs, a few batches at a time. Results come in the order of the items.

    Pictures are shared out among threads (Pillow decodes without holding the interpreter's lock). Texts are prepared
    by one thread, since tokenizers often bear no second one.
    """

    def __init__(self, encoder: Encoder, items: Sequence[Any]) -> None:
        pictures = bool(items) and isinstance(items[0], ImageItem)
        self._encoder = encoder
        self._threads = min(MAX_THREADS, _cpus()) if pictures else 1
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="dckt-prepare")

    def submit(self, items: Sequence[Any]) -> Callable[[], Tensor]:
        """Begins with a batch; the result, when called, waits for its tensor [n, ...]."""
        share = max(1, -(-len(items) // self._threads))
        parts: list[Future[Tensor]] = [
            self._pool.submit(prepare, self._encoder, items[start : start + share])
            for start in range(0, len(items), share)
        ]
        return lambda: _join(self._encoder, [part.result() for part in parts])

    def batches(self, items: Sequence[Any], batch: int) -> Iterator[tuple[int, Tensor]]:
        """The first item's number and the tensor of each batch; the next one is prepared meanwhile."""
        starts = range(0, len(items), batch)
        ahead = self.submit(items[:batch])
        for start in starts:
            ready = ahead
            if start + batch < len(items):
                ahead = self.submit(items[start + batch : start + 2 * batch])
            yield start, ready()

    def close(self) -> None:
        """Ends the threads; work that has not begun is dropped."""
        self._pool.shutdown(cancel_futures=True)


def prepare(encoder: Encoder, items: Sequence[Any]) -> Tensor:
    """Items to module inputs [n, ...].

    Raises:
        PluginError: the encoder raised, or gave no tensor of n rows.
    """
    try:
        inputs = encoder.prepare(items)
    except DcktError:
        raise
    except Exception as error:
        raise PluginError(f"{encoder}: prepare raised {describe(error)}") from error
    if not isinstance(inputs, Tensor) or inputs.ndim == 0 or len(inputs) != len(items):
        found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
        raise PluginError(f"{encoder}: prepare gave {found} for {len(items)} items, not a row each")
    return inputs


def _join(encoder: Encoder, parts: Sequence[Tensor]) -> Tensor:
    if len({(part.shape[1:], part.dtype) for part in parts}) > 1:
        shapes = sorted({str(tuple(part.shape[1:])) for part in parts})
        raise PluginError(f"{encoder}: prepare gave rows of unequal shapes: {', '.join(shapes)}")
    return torch.cat(list(parts)) if parts else torch.empty(0)


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
