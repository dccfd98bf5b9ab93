"""What stands before every request: who may ask, how much they may send, and what a browser may do with the answer.

A server on the loopback address is still within reach of every web page that its user opens: such a page can have the
browser send requests there (cross-site request), and can make its own name point there to read the answers (DNS
rebinding). So a request must name this server as it is known here, and must not come from another site's page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ADDRESS = re.compile(r"(?:(?P<host>[a-z0-9._-]+)|\[(?P<six>[0-9a-f:.]+)\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)

LOOPBACK = ("127.0.0.1", "localhost", "::1")

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware.

    Starlette's TrustedHostMiddleware is no help here: older ones cut `[::1]:80` at its first colon, a `*` of it stands
    for any name, and it answers 400 without a reason or the headers above, where 421 Misdirected Request (RFC 9110,
    15.5.20) and how to add the name are what there is to say.

    Args:
        hosts: names and addresses that this server is known by, without ports.
        max_body: bytes; a request with more is refused as soon as that is known.
        at_work: requests at once; those beyond are told to come back later.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], max_body: int, at_work: int = 256) -> None:
        self._app = app
        self._free = at_work
        self._hosts = frozenset(host.lower() for host in hosts)
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        if self._free <= 0:
            busy = _refuse(503, "too many requests at once; come back later")
            busy.headers["Retry-After"] = "1"
            await busy(scope, receive, send)
            return
        counted = _Counted(receive, self._max_body)
        self._free -= 1
        try:
            await self._app(scope, counted, send)
        except _TooLargeError:
            await self._too_large()(scope, receive, send)
        except ClientDisconnect:  # whoever sent the body is gone, or was ended: nobody is left to answer
            return
        finally:
            self._free += 1

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if _host(host) not in self._hosts:
            return _refuse(421, "this server is not known by that name; --allow-host adds one")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return _refuse(403, "requests of other sites' pages are not answered")
        # Pictures and scripts of another site's page name no origin. A link to the page itself may be followed.
        site, mode = (headers.get(f"sec-fetch-{name}", "none").lower() for name in ("site", "mode"))
        if site not in ("none", "same-origin") and not (mode == "navigate" and path == "/"):
            return _refuse(403, "requests of other sites' pages are not answered")
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return _refuse(400, "the length of the request is no number")
        return self._too_large() if int(length) > self._max_body else None

    def _too_large(self) -> JSONResponse:
        return _refuse(413, f"more than the {self._max_body / 1e6:g} MB that may be sent")


class _TooLargeError(Exception):
    """A body without a length turned out to be too large."""


class _Counted:
    """Receives a body, and counts it."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLargeError
        return message


def _host(address: str) -> str:
    """The host of `host:port`, in lower case; empty where it is anything else (RFC 9110, 7.2): no user, no path."""
    found = _ADDRESS.fullmatch(address)
    return (found["host"] or found["six"]).lower() if found else ""


def _refuse(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"error": reason}, status)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending
