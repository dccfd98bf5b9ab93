"""A time limit for what plugins do while they are looked for: an import that hangs hangs no command.

On the main thread an alarm of the system (SIGALRM) ends it. What it cannot end is a call in machine code that does not
come back to Python, and Windows and other threads have no alarm: there a line says which plugin everybody waits for.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from dckt_core.base.errors import UsageError
from dckt_core.base.progress import logger

VARIABLE, DEFAULT = "DCKT_PLUGIN_TIMEOUT", 60.0


class LateError(BaseException):
    """The limit is reached. No Exception, so that a plugin that expects any does not go on."""


def limit_of(environ: Mapping[str, str]) -> float:
    """Seconds that a plugin may take; 0 for as long as it likes.

    Raises:
        UsageError: the variable is no number from 0.
    """
    said = environ.get(VARIABLE, "").strip()
    try:
        seconds = float(said) if said else DEFAULT
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UsageError(f"{VARIABLE}: '{said}' is no number of seconds; 0 sets no limit")
    return seconds


@contextmanager
def patience(who: str, seconds: float) -> Iterator[None]:
    """A block that may take so many seconds.

    Args:
        who: is at work in it, for the line that names it.

    Raises:
        LateError: it took longer.
    """
    if not seconds:
        yield
        return
    alarmed = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    # Where the alarm is not heard, the line says at least who keeps everybody waiting.
    watch = threading.Timer(seconds * 1.2 + 1 if alarmed else seconds, _tell, (who, seconds))
    watch.daemon = True
    watch.start()
    if not alarmed:
        try:
            yield
        finally:
            watch.cancel()
        return

    def late(number: int, frame: FrameType | None) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    left, again = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, again)
        signal.signal(signal.SIGALRM, before)
        watch.cancel()


def _tell(who: str, seconds: float) -> None:
    logger.warning("dckt: warning: %s takes more than %g s (%s), and cannot be broken off", who, seconds, VARIABLE)
