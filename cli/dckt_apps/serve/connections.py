"""Connections that keep a server waiting: silent ones, bodies that trickle in, answers that nobody reads.

uvicorn waits for a request as long as the connection lasts, so that a few dozen silent ones lock everybody out. Here
each connection has so many seconds for each thing that it has to do; and where there are too many, those that wait for
a request go first, the longest waiting before all. Whoever has asked for something is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from uvicorn.protocols.http.h11_impl import H11Protocol

Standing = Literal["head", "body", "work", "answer"]
"""What a connection waits for: a request, the rest of its body, the application, or a client that reads the answer."""


@dataclass(frozen=True)
class Patience:
    """How long connections may take, and how many there may be.

    Attributes:
        head: seconds for a request up to its body, from the connection or the answer before on.
        body: seconds for the body.
        answer: seconds in which a client must read on.
        connections: at once, in all.
        of_client: at once from one address, unless it is this machine's own, which is everybody's here.
        look: seconds between two looks at a connection.
    """

    head: float = 10.0
    body: float = 60.0
    answer: float = 60.0
    connections: int = 512
    of_client: int = 64
    look: float = 1.0


def protocol(patience: Patience) -> type[H11Protocol]:
    """uvicorn's protocol with that patience, for `uvicorn.Config(http=...)`."""

    class Patient(_Patient):
        limits = patience

    return Patient


class _Patient(H11Protocol):
    limits: Patience

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._mark: tuple[Standing, object] = ("head", None)
        self._since = self.loop.time()
        everybody = [one for one in self.connections if isinstance(one, _Patient)]
        if not self._is_local():
            self._make_room([one for one in everybody if one._address() == self._address()], self.limits.of_client)
        self._make_room(everybody, self.limits.connections)
        self._look_later()

    def _make_room(self, others: Iterable[_Patient], limit: int) -> None:
        """Ends connections beyond a limit: the one that has waited for a request the longest; else this one."""
        those = [one for one in others if not one.transport.is_closing()]
        if len(those) <= limit:
            return
        idle = [one for one in those if one is not self and one._standing() == "head"]
        min(idle, key=lambda one: one._since, default=self).transport.abort()

    def _look(self) -> None:
        """Ends the connection where it has waited for the same thing too long."""
        if self.transport.is_closing():
            return
        mark, now = (self._standing(), self.cycle), self.loop.time()
        if (mark[0], id(mark[1])) != (self._mark[0], id(self._mark[1])):
            self._mark, self._since = mark, now
        allowed = {"head": self.limits.head, "body": self.limits.body, "answer": self.limits.answer}.get(mark[0])
        if allowed is not None and now - self._since >= allowed:
            self.transport.abort()
            return
        self._look_later()

    def _look_later(self) -> None:
        self.loop.call_later(self.limits.look, self._look)

    def _standing(self) -> Standing:
        if self.flow.write_paused:
            return "answer"
        if self.cycle is None or self.cycle.response_complete:
            return "head"
        return "body" if self.cycle.more_body else "work"

    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _is_local(self) -> bool:
        try:
            return ip_address(self._address()).is_loopback
        except ValueError:  # a socket of the file system
            return True
