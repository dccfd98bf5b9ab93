"""Ctrl-C and SIGTERM. A first one ends what is at work as soon as nothing is lost by it, a second one ends it at once.

Nearly all work may be broken off anywhere: files are whole or not there, and whoever computes for long keeps what is
done as the error passes through. There the first signal ends the block with a StoppedError. An update of networks is
another matter: in a `deferred` block the signal is noted, and whoever works there asks between two steps. An `at_once`
block within one, such as a look at all pairs, is broken off again.

What no signal breaks off is one call of a library that does not come back to Python: a factorisation, the training of
an index's centroids. It is heard when that call is over.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dckt_core.base.errors import ExitCode, StoppedError
from dckt_core.base.progress import logger

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _BrokenOff(BaseException):
    """Goes through all work, up to the block that turns it into a StoppedError."""


class Stop:
    """Whether somebody asked to stop, and with which signal. Calling it tells; false until then."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.deferring = False

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that ended for this signal: 130 or 143."""
        return 128 + (self.signal or signal.SIGINT)

    def error(self, what: str) -> StoppedError:
        """The error with which work ends."""
        error = StoppedError(what)
        error.exit_code = ExitCode(self.exit_code)
        return error

    def broken_off(self) -> StoppedError:
        """The error of work that was broken off."""
        return self.error(f"stopped by {signal.Signals(self.signal or signal.SIGINT).name}; what is done is kept")

    def break_off(self) -> None:
        """Raises where somebody asked."""
        if self.signal is not None:
            raise _BrokenOff

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number
        if not self.deferring:
            self.break_off()
        logger.warning("stopping as soon as what is at work can be kept; once more stops at once")


_present: list[Stop] = []
"""The one whose signals are caught, where they are."""


@contextmanager
def stopping() -> Iterator[Stop]:
    """Catches the signals while the block runs; within another such block it is that one's `Stop`. Off the main thread,
    where that is not possible, none is caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    if _present:
        yield _present[0]
        return
    stop = Stop()
    _present.append(stop)
    before = {number: signal.signal(number, stop._caught) for number in SIGNALS}
    try:
        yield stop
    except _BrokenOff:
        raise stop.broken_off() from None
    finally:
        _present.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def is_heard() -> bool:
    """Whether signals are caught here."""
    return bool(_present) and threading.current_thread() is threading.main_thread()


@contextmanager
def deferred() -> Iterator[None]:
    """A block whose work asks by itself, between two steps, whether to stop."""
    with _in_mode(deferring=True):
        yield


@contextmanager
def at_once() -> Iterator[None]:
    """A block, in a `deferred` one, that may be broken off anywhere.

    Raises:
        StoppedError: somebody asked to stop.
    """
    with _in_mode(deferring=False):
        yield


@contextmanager
def _in_mode(*, deferring: bool) -> Iterator[None]:
    stop = _present[0] if is_heard() else Stop()
    before, stop.deferring = stop.deferring, deferring
    try:
        if not deferring:
            stop.break_off()
        yield
    except _BrokenOff:
        raise stop.broken_off() from None
    finally:
        stop.deferring = before
