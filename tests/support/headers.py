"""safetensors files written by hand: a length of 8 bytes, a JSON header, the data. Good ones, and many bad ones."""

from __future__ import annotations

import json
import struct
from typing import Any


def file_of(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    """The bytes of a file with this header (JSON-able, or bytes as they are)."""
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(body) if length is None else length) + body + data


def tensor(start: int, stop: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(stop - start) // 4] if shape is None else shape, "data_offsets": [start, stop]}


def bad_headers(name: str = "features", other: str = "other") -> dict[str, bytes]:
    """Files that no reader may take, by what is wrong with them; `name` is a tensor that the reader looks for."""
    good = {name: tensor(0, 16), other: tensor(16, 32)}
    data = bytes(32)
    whole = file_of(good, data)
    return {
        "empty": b"",
        "length cut": whole[:5],
        "length alone": whole[:8],
        "header cut": whole[:40],
        "data cut": whole[:-1],
        "data missing": whole[:-32],
        "data left over": whole + b"\0" * 8,
        "length of zero": file_of(b"", data, length=0),
        "length beyond the file": file_of(good, data, length=10_000),
        "length of 2^63": file_of(good, data, length=2**63),
        "length of 2^64 - 1": file_of(good, data, length=2**64 - 1),
        "header not JSON": file_of(b"{'features': 1}", data),
        "header not UTF-8": file_of(b'{"\xff": {}}', data),
        "header a list": file_of([1, 2], data),
        "header a number": file_of(7, data),
        "header nested without end": file_of(b'{"a":' * 50_000, data),
        "tensor a number": file_of({name: 3}, data),
        "tensor without offsets": file_of({name: {"dtype": "F32", "shape": [8]}}, data),
        "unknown type": file_of({name: tensor(0, 32, dtype="PICKLE")}, data),
        "overlapping": file_of({name: tensor(0, 24), other: tensor(8, 32)}, data),
        "one inside the other": file_of({name: tensor(0, 32), other: tensor(8, 16)}, data),
        "the same bytes twice": file_of({name: tensor(0, 32), other: tensor(0, 32)}, data),
        "a gap": file_of({name: tensor(0, 8), other: tensor(16, 32)}, data),
        "begins late": file_of({name: tensor(16, 32)}, data),
        "ends before it begins": file_of({name: tensor(32, 0, shape=[8])}, data),
        "negative offsets": file_of({name: tensor(-8, 24)}, data),
        "offsets beyond the end": file_of({name: tensor(0, 2**40)}, data),
        "offsets of 2^64": file_of({name: tensor(0, 2**64, shape=[4])}, data),
        "shape larger than its bytes": file_of({name: tensor(0, 32, shape=[1000])}, data),
        "shape smaller than its bytes": file_of({name: tensor(0, 32, shape=[1])}, data),
        "shape that overflows": file_of({name: tensor(0, 32, shape=[2**32, 2**32, 2**32])}, data),
        "negative shape": file_of({name: tensor(0, 32, shape=[-8])}, data),
        "shape of fractions": file_of({name: {"dtype": "F32", "shape": [8.5], "data_offsets": [0, 34]}}, data),
        "shape of words": file_of({name: {"dtype": "F32", "shape": ["8"], "data_offsets": [0, 32]}}, data),
        "metadata of numbers": file_of({"__metadata__": {"format": 1}, **good}, data),
        "another kind of file": b"PK\x03\x04" + bytes(200),
        "zeros": bytes(500),
    }
