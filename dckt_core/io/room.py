"""How much is in memory at once, over all threads: who needs more than is left waits for others. No torch in here."""

from __future__ import annotations

import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """So many bytes for all threads together. One that needs more than that by itself gets it when it is alone.

    Args:
        size: bytes.
        patience: seconds without any change after which a thread goes on all the same: what fills the room is held by
            somebody who waits for this thread.

    Attributes:
        used: bytes that are taken.
        most: the most that ever were.
    """

    def __init__(self, size: int, patience: float = 20.0) -> None:
        self.size, self.patience = size, patience
        self.used = self.most = 0
        self._by: Counter[int] = Counter()
        self._changed = threading.Condition(threading.RLock())  # a finalizer may run while its thread is in here

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until there is room, and takes it while the block runs."""
        me = threading.get_ident()
        with self._changed:
            while self.used + size > self.size and self.used > self._by[me]:  # nobody waits for what is one's own
                if not self._changed.wait(self.patience):
                    break
            self._change(me, size)
        try:
            yield
        finally:
            self._change(me, -size)

    def keep(self, thing: object, size: int) -> None:
        """Takes room, without waiting, for as long as a thing is there."""
        me = threading.get_ident()
        self._change(me, size)
        weakref.finalize(thing, self._change, me, -size)

    def _change(self, thread: int, size: int) -> None:
        with self._changed:
            self.used += size
            self.most = max(self.most, self.used)
            self._by[thread] += size
            if not self._by[thread]:
                del self._by[thread]
            self._changed.notify_all()
