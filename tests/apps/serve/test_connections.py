"""Connections that hold on to a server, and the honest ones beside them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.support.needs import part

part("uvicorn")

import uvicorn

from dckt_apps.serve.connections import Patience, protocol

SHORT = Patience(head=0.5, body=0.5, answer=0.5, connections=8, look=0.05)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers with its length, or with as much as the path says."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"x" * 20_000_000 if scope["path"] == "/large" else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port() -> Iterator[int]:
    server = uvicorn.Server(
        uvicorn.Config(application, log_level="critical", lifespan="off", ws="none", http=protocol(SHORT))
    )
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        server.force_exit = True
        thread.join(timeout=30)


def connect(port: int, first: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.sendall(first)
    return made


def ended(connection: socket.socket) -> bool:
    """Waits until the other side ends the connection; false where it does not within many seconds."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def ask(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    said = b""
    while not said.endswith(b"\r\n\r\n0"):
        piece = connection.recv(1000)
        if not piece:
            break
        said += piece
    return said


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
    ],
)
def test_who_says_no_more_is_ended(port: int, first: bytes) -> None:
    with closing(connect(port, first)) as waiting:
        assert ended(waiting)


@pytest.mark.parametrize("body", [False, True])
def test_who_trickles_is_ended(port: int, body: bool) -> None:
    first = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" if body else b"GET / HTTP/1.1\r\n"
    with closing(connect(port, first)) as slow, pytest.raises(OSError):  # noqa: PT011, PT012 - it ends while bytes go out
        for _ in range(2000):
            slow.sendall(b"x" if body else b"X-a: b\r\n")
            time.sleep(0.01)


def test_who_does_not_read_is_ended(port: int) -> None:
    with closing(socket.socket()) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(20)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(1.5)
        read = 0
        try:
            while piece := deaf.recv(1 << 16):
                read += len(piece)
        except ConnectionError:
            pass
        assert read < 20_000_000, "the rest was never sent"


def test_who_asks_again_and_again_stays(port: int) -> None:
    with closing(connect(port)) as busy:
        until = time.monotonic() + 4 * SHORT.head
        while time.monotonic() < until:
            assert b"200 OK" in ask(busy)


def test_silent_ones_do_not_lock_anybody_out(port: int) -> None:
    """Those that wait the longest go first, and whoever asks is answered."""
    silent = [connect(port) for _ in range(3 * SHORT.connections)]
    try:
        for _ in range(5):
            with closing(connect(port)) as honest:
                assert b"200 OK" in ask(honest)
        assert ended(silent[0])
    finally:
        for one in silent:
            one.close()
