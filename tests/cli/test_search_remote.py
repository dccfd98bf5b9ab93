"""`dckt search --url`, against a server that answers what it is told to; test_serve.py asks a real one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from dckt_cli.main import main

Capture = pytest.CaptureFixture[str]

FOUND: dict[str, Any] = {
    "results": [
        {"rank": 1, "cosine": 0.5, "id": "a\x1b[2J", "label": "dog", "picture": "/pictures/0/1", "pair": {"id": "a"}}
    ],
    "unknown": ["yak"],
    "cut": False,
    "unlikely": False,
    "more": True,
}


class Told(HTTPServer):
    """Answers everything with one status and body, and remembers what it was asked."""

    status, body = 200, json.dumps(FOUND).encode()

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Told

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append((self.command, self.path, self.rfile.read(length)))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Told]:
    with Told() as told:
        thread = threading.Thread(target=told.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield told
        told.shutdown()
        thread.join()


def test_everything_that_is_typed_is_asked(server: Told, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a picture")
    line = ["--image", str(tmp_path / "a.png"), "--weight", "2", "--text", "a dog", "--like", "x&y", "--weight", "-1"]
    line += ["--of", "text", "--class", "cat", "--class", "dog", "--where", "year=2019", "--expand", "3", "--csls", "4"]
    line += ["--medium", "image", "-k", "7", "--insist"]
    assert main(["search", "--url", f"{server.url}/?run=mine", *line, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["results"][0]["picture"] == f"{server.url}/pictures/0/1"
    assert "pair" not in told["results"][0] and told["unknown"] == ["yak"]
    ((method, path, body),) = server.asked
    assert (method, urlsplit(path).path, body) == ("POST", "/api/search/image", b"a picture")
    assert parse_qsl(urlsplit(path).query) == [
        *(("q", "a dog"), ("like", "x&y"), ("weight", "1.0"), ("weight", "-1.0"), ("weight", "2.0")),
        *(("class", "cat"), ("class", "dog"), ("where", "year=2019")),
        *(("k", "7"), ("medium", "image"), ("expand", "3"), ("csls", "4"), ("of", "text"), ("insist", "true")),
        ("run", "mine"),
    ]


def test_an_answer_is_shown_as_one_from_here(server: Told, capsys: Capture) -> None:
    assert main(["search", "--url", server.url, "--text", "a dog"]) == 0
    note, head, row = capsys.readouterr().out.splitlines()
    assert note == "the run does not know: yak"
    assert head.split() == ["rank", "cosine", "id", "class", "picture"]
    assert row.split() == ["1", "0.5000", "a\\x1b[2J", "dog", f"{server.url}/pictures/0/1"]


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (422, b'{"error": "no dog\\u001b[2J"}', 2, "dckt: error: no dog\\x1b[2J"),
        (422, b'{"error": "nothing is known", "insist": true}', 2, "nothing is known (--insist)"),
        (404, b"<html>", 3, "status 404: what answers there is no dckt serve"),
        (422, b"[1]", 3, "what answers there is no dckt serve"),
        (200, b"hello", 3, "what answers there is no dckt serve"),
        (200, b"[]", 3, "what answers there is no dckt serve"),
        (200, b'{"results": 3}', 3, "what answers there is no dckt serve"),
        (200, b'{"results": [{"picture": 3}]}', 3, "what answers there is no dckt serve"),
        (200, b'{"results": [3], "unknown": [], "cut": false, "unlikely": false}', 3, "is no dckt serve"),
        (200, b'{"results": [], "unknown": [3], "cut": false, "unlikely": false}', 3, "is no dckt serve"),
    ],
)
def test_a_refusal_is_one_line(server: Told, capsys: Capture, status: int, body: bytes, code: int, said: str) -> None:
    server.status, server.body = status, body
    assert main(["search", "--url", server.url, "--text", "a dog"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"rank": None},
        {"cosine": "0.5"},
        {"cosine": None},
        {"probability": []},
        {"id": 3},
        {"id": "\ud800"},
        {"picture": 3},
        {"metadata": 3},
        {"metadata": {"year": {}}},
    ],
)
def test_an_answer_with_anything_else_in_it_is_no_answer(
    server: Told, capsys: Capture, changed: dict[str, Any]
) -> None:
    (row,) = FOUND["results"]
    server.body = json.dumps({**FOUND, "results": [{**row, **changed}]}).encode()
    assert main(["search", "--url", server.url, "--text", "a dog"]) == 3
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"dckt: error: {server.url}: what answers there is no dckt serve\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--url", "file:///etc/passwd", "--text", "a"], 2, "is no address such as http://127.0.0.1:8000"),
        (["--url", "http://", "--text", "a"], 2, "is no address"),
        (["--url", "http://a:99999", "--text", "a"], 2, "--url: 'http://a:99999'"),
        (["--url", "http://a b\r\nX", "--text", "a"], 2, "is no address"),
        (["--url", "http://127.0.0.1:1", "--image", "gone.png"], 3, "gone.png: no such file"),
        (["--url", "http://127.0.0.1:1", "--text", "a", "--split", "test"], 2, "--split goes with an index or a run"),
        (["--url", "http://127.0.0.1:1", "--text", " "], 2, "the text to look for is empty"),
        (["--url", "http://127.0.0.1:1", "somewhere", "--text", "a"], 2, "say an index, a run, or --url"),
        (["--text", "a"], 2, "say an index, a run, or --url"),
    ],
)
def test_bad_usage_is_one_line(capsys: Capture, arguments: list[str], code: int, said: str) -> None:
    assert main(["search", *arguments]) == code
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1


def test_where_nobody_answers(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert main(["search", "--url", f"http://127.0.0.1:{port}", "--text", "a"]) == 1
    assert "Connection refused); is `dckt serve` running there?" in capsys.readouterr().err


def test_no_torch_is_imported(server: Told) -> None:
    program = (
        "import sys; from dckt_cli.main import main;"
        f"code = main(['search', '--url', {server.url!r}, '--text', 'a']);"
        "print([name for name in ('torch', 'numpy', 'PIL', 'rich') if name in sys.modules], file=sys.stderr);"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
