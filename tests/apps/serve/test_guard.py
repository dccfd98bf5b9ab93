from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.needs import part

part("starlette")

from dckt_apps.serve.guard import HEADERS, LOOPBACK, Guard


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def asked(
    headers: dict[str, str], parts: Sequence[bytes] = (b"",), hosts: Sequence[str] = LOOPBACK, path: str = "/"
) -> tuple[int, Any]:
    """Status and headers of the answer."""
    said: list[Any] = []
    bodies = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts)
    ]

    async def receive() -> Any:
        return bodies.pop(0)

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(Guard(application, hosts=hosts, max_body=10)(scope, receive, send))  # type: ignore[arg-type]
    assert [message["type"] for message in said] == ["http.response.start", "http.response.body"]
    return said[0]["status"], {name.decode(): value.decode() for name, value in said[0]["headers"]}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST:8000", "[::1]", "[::1]:80"])
def test_known_names_are_answered(host: str) -> None:
    assert asked({"host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.com@127.0.0.1",
        "a:b@localhost:80",
        "localhost/evil",
        "localhost:80:80",
        "localhost#x",
        "localhost?",
        " localhost",
        "localhost:",
        "localhost:x",
        "[localhost]",
        "[127.0.0.1]:x",
        "127.0.0.1:8000\\@evil",
        "127.0.0.1.evil.example",
        "localhost.evil:80",
        "evil@x",
        "[::1",
        "localhost@evil",
        "::1",
    ],
)
def test_other_names_are_not(host: str) -> None:
    assert asked({"host": host})[0] == 421


@pytest.mark.parametrize("name", ["*", "*.example", "www.evil.example"])
def test_names_are_no_patterns(name: str) -> None:
    assert asked({"host": "evil.example"}, hosts=[*LOOPBACK, name])[0] == 421


def test_a_name_may_be_added() -> None:
    assert asked({"host": "Box.Example:8000"}, hosts=["box.example"])[0] == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("http://LOCALHOST:8000", 200),
        ("http://localhost:3000", 403),
        ("https://evil.example", 403),
        ("http://localhost:8000.evil.example", 403),
        ("ftp://localhost:8000", 403),
        ("evil@localhost:8000", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_of_other_sites_are_not_answered(origin: str, status: int) -> None:
    assert asked({"host": "localhost:8000", "origin": origin})[0] == status


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ({"content-length": "10"}, [b"0123456789"], 200),
        ({"content-length": "11"}, [b"0123456789a"], 413),
        ({"content-length": "-1"}, [b""], 400),
        ({"content-length": "1e9"}, [b""], 400),
        ({}, [b"01234", b"56789"], 200),
        ({}, [b"01234", b"56789", b"a"], 413),
        ({"content-length": "3"}, [b"01234", b"56789", b"a"], 413),
    ],
)
def test_no_more_is_read_than_may_be_sent(headers: dict[str, str], parts: list[bytes], status: int) -> None:
    assert asked({"host": "localhost"} | headers, parts)[0] == status


@pytest.mark.parametrize("headers", [{"host": "localhost"}, {"host": "evil"}, {"host": "::1", "content-length": "99"}])
def test_every_answer_says_what_a_browser_may_do_with_it(headers: dict[str, str]) -> None:
    found = asked(headers)[1]
    assert {name.lower(): value for name, value in HEADERS.items()}.items() <= found.items()
    assert "default-src 'none'" in found["content-security-policy"]
    assert "unsafe" not in found["content-security-policy"]


@pytest.mark.parametrize(
    ("site", "mode", "path", "status"),
    [
        ("same-origin", "cors", "/api/search", 200),
        ("none", "navigate", "/", 200),
        ("cross-site", "navigate", "/", 200),
        ("cross-site", "no-cors", "/", 403),
        ("cross-site", "no-cors", "/pictures/1", 403),
        ("cross-site", "navigate", "/pictures/1", 403),
        ("same-site", "cors", "/api/search", 403),
        ("cross-site", "cors", "/api/about", 403),
        ("CROSS-SITE", "cors", "/api/about", 403),
    ],
)
def test_what_another_site_s_page_asks_for_is_refused_but_for_a_link(
    site: str, mode: str, path: str, status: int
) -> None:
    headers = {"host": "localhost", "sec-fetch-site": site, "sec-fetch-mode": mode}
    assert asked(headers, path=path)[0] == status


def test_of_too_many_requests_the_others_come_back_later() -> None:
    async def all_at_once() -> list[int]:
        waiting, statuses = asyncio.Event(), []

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await waiting.wait()
            await application(scope, receive, send)

        guard = Guard(slow, hosts=LOOPBACK, max_body=10, at_work=2)  # type: ignore[arg-type]

        async def one() -> None:
            said: list[Any] = []

            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                said.append(message)

            headers = [(b"host", b"localhost")]
            await guard({"type": "http", "method": "GET", "path": "/", "headers": headers}, receive, send)
            statuses.append(said[0]["status"])

        tasks = [asyncio.create_task(one()) for _ in range(4)]
        await asyncio.sleep(0)
        waiting.set()
        await asyncio.gather(*tasks)
        await one()
        return statuses

    assert sorted(asyncio.run(all_at_once())) == [200, 200, 200, 503, 503]
