"""How long work tells of itself: a callable that the caller may draw as a bar, and the `dckt` logger for lines."""

from __future__ import annotations

import logging
from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""`progress(done, total, "what")`; the same `what` is one bar."""

logger = logging.getLogger("dckt")
"""Lines for the user, on stderr under the command."""


def silent(done: int, total: int, what: str) -> None:
    """Progress that nobody watches."""
