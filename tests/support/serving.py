"""The server of `dckt serve` in a thread, and how to ask it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dckt_core.retrieval.searcher import Searcher


class Server:
    """A server that runs, and how to ask it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.place = address.removeprefix("http://")

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPConnection(self.place, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def json(self, path: str, question: Any = None) -> tuple[int, Any]:
        if question is None:
            status, body, _ = self.ask("GET", path)
        elif isinstance(question, bytes):
            status, body, _ = self.ask("POST", path, question)
        else:
            status, body, _ = self.ask("POST", path, json.dumps(question), {"Content-Type": "application/json"})
        return status, json.loads(body)


@contextmanager
def running(searchers: Mapping[str, Searcher], **limits: int) -> Iterator[Server]:
    """Some searchers, served under their names by a thread of this process; `limits` are those of the server."""
    import uvicorn

    from dckt_apps.serve.app import make_app
    from dckt_apps.serve.asking import Limits

    app = make_app(searchers, limits=Limits(**limits))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(timeout=30)
