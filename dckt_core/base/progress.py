"""How long work tells of itself: a callable that the caller may draw as a bar, and the `dckt` logger for lines."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dckt_core.base.errors import UsageError

Progress = Callable[[int, int, str], None]
"""`progress(done, total, "what")`; the same `what` is one bar."""

logger = logging.getLogger("dckt")
"""Lines for the user, on stderr under the command."""


def bars() -> Progress:
    """Draws every `what` as a bar of tqdm: in a notebook the notebook's own, where ipywidgets is there.

    Raises:
        UsageError: tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise UsageError("progress bars need tqdm, which is not installed: pip install 'dckt[notebook]'") from None
    drawn: dict[str, Any] = {}

    def progress(done: int, total: int, what: str) -> None:
        if what not in drawn:
            drawn[what] = tqdm(total=total, desc=what)
        bar = drawn[what]
        bar.update(done - bar.n)
        if done >= total:
            drawn.pop(what).close()

    return progress


def silent(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""
