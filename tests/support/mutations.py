"""Ways to spoil a good file: byte by byte, or by what its JSON says. Driven by one random generator."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

TOKENS = [
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r\n", b'"', b"{", b"}", b"[", b"]", b",", b":", b"=", b"null",
    b"true", b"NaN", b"Infinity", b"1e999", b"-1", b"0", b"9" * 5000, b"..", b"/", b"\\", b"\\ud800", b"\\u0000",
    b"[" * 3000, b'{"a":' * 3000, b"\xe7\x8a", "犬".encode(), b"\x80\x02c", b"cos\nsystem\n", b"PK\x03\x04",
    b"\x1f\x8b", b" " * 1000,
]  # fmt: skip
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", "x",
    "0", "transfer", "train", "F32", "BF16", "\ud800", "\0", "a" * 5000, [], {}, [[]], {"a": {}}, [0, 8], [2, 3],
    [None], [[1]],
]  # fmt: skip


Way = Callable[[bytes, random.Random], bytes]


def spoil(seeds: Sequence[bytes], draw: random.Random, ways: Sequence[Way]) -> bytes:
    """One of the seeds, changed one to four times."""
    content = draw.choice(seeds)
    for _ in range(draw.choice((1, 1, 2, 4))):
        content = draw.choice(ways)(content, draw)
    return content


def _bits(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 3, 9))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(content: bytes, draw: random.Random) -> bytes:
    start, stop = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return draw.choice((content[:start], content[start:], content[:start] + content[stop:], content[start:stop]))


def _double(content: bytes, draw: random.Random) -> bytes:
    start, stop = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    return content[:stop] + content[start:]


def _insert(content: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(content) + 1)
    rest = place + draw.choice((0, 0, 1, 4))
    return content[:place] + draw.choice(TOKENS) + content[rest:]


def _number(content: bytes, draw: random.Random) -> bytes:
    """Eight bytes, such as a length, become an extreme number."""
    place = draw.choice((0, draw.randrange(len(content) + 1)))
    number = draw.choice((0, 1, 2**16, 2**31, 2**63 - 1, 2**64 - 1, draw.randrange(2**16)))
    return content[:place] + struct.pack(draw.choice("<>") + "Q", number) + content[place + 8 :]


def said(content: bytes, draw: random.Random) -> bytes:
    """What the JSON in the file says: of a safetensors header, of a line, or of all of it."""
    for start, stop in _json_spans(content):
        try:
            tree = json.loads(content[start:stop])
        except (ValueError, RecursionError):
            continue
        for _ in range(draw.choice((1, 1, 3))):
            tree = _change(tree, draw)
        try:
            new = json.dumps(tree).encode()
        except (ValueError, RecursionError):
            return content
        if start == 8:
            return struct.pack("<Q", len(new)) + new + content[stop:]
        return content[:start] + new + content[stop:]
    return _bits(content, draw)


def _json_spans(content: bytes) -> list[tuple[int, int]]:
    if len(content) > 8 and content[8:9] == b"{":
        return [(8, 8 + int.from_bytes(content[:8], "little"))]
    lines = content.split(b"\n")
    if len(lines) > 1:
        start = len(lines[0]) + 1
        return [(start, start + len(lines[1]))]
    return [(0, len(content))]


def _change(said: Any, draw: random.Random) -> Any:
    """Somewhere in a tree of JSON values another value, another key, one less or one twice."""
    if isinstance(said, dict) and said and draw.random() < 0.85:
        key = draw.choice(list(said))
        what = draw.random()
        if what < 0.1:
            return {name: value for name, value in said.items() if name != key}
        if what < 0.2:
            return {**said, draw.choice(("x", "__metadata__", "", key + "x")): said[key]}
        if key == "facts" and isinstance(said[key], str) and draw.random() < 0.5:  # JSON in JSON
            try:
                return {**said, key: json.dumps(_change(json.loads(said[key]), draw))}
            except (ValueError, RecursionError):
                pass
        return {**said, key: _change(said[key], draw)}
    if isinstance(said, list) and said and draw.random() < 0.8:
        place = draw.randrange(len(said))
        what = draw.random()
        if what < 0.15:
            return said[:place] + said[place + 1 :]
        if what < 0.3:
            return [*said, said[place]]
        return [*said[:place], _change(said[place], draw), *said[place + 1 :]]
    if isinstance(said, int) and not isinstance(said, bool) and draw.random() < 0.5:
        return said + draw.choice((-8, -1, 1, 4, 8))
    return draw.choice(VALUES)


WAYS: Sequence[Way] = (_bits, _cut, _double, _insert, _number, said, said, said)
