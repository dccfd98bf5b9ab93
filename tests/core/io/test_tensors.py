"""Files of tensors: what comes back is what was written, or it is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from dckt_core.base.errors import DataError
from dckt_core.io.tensors import load_tensors, peek, save_tensors, tensors_digest

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3).T,  # not contiguous
    "b": torch.tensor(True),
    "c": torch.empty(0, 4, dtype=torch.bfloat16),
    "d": torch.tensor([torch.nan, -torch.inf], dtype=torch.float64),
}
FACTS: dict[str, Any] = {"at": {"phase": "x", "n": 1.5}, "name": "half \udcff", "rows": [[1, None], []]}


def save(file: Path, **changes: Any) -> str:
    return save_tensors(file, TENSORS, FACTS, **{"kind": "thing", "format": 3, **changes})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    save(tmp_path / "x.safetensors")
    return tmp_path / "x.safetensors"


def refused(file: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_tensors(file, kind="thing", format=3)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    return said.removeprefix(f"{file}: ")


def test_what_was_written_is_read(file: Path) -> None:
    tensors, facts = load_tensors(file, kind="thing", format=3)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    for name, value in tensors.items():
        assert value.dtype == TENSORS[name].dtype
        torch.testing.assert_close(value, TENSORS[name], rtol=0, atol=0, equal_nan=True)


def test_the_same_content_makes_the_same_bytes(file: Path, tmp_path: Path) -> None:
    assert save(tmp_path / "again") == save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_no_tensors_and_no_facts(tmp_path: Path) -> None:
    save_tensors(tmp_path / "x", {}, kind="thing", format=3)
    assert load_tensors(tmp_path / "x", kind="thing", format=3) == ({}, {})


def test_every_bit_that_turns_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    for place in range(8, len(whole)):
        if whole[place : place + 1] == b" " and place < len(whole) - 50:
            continue  # the header is padded by blanks, which mean nothing
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        refused(file)


def test_what_is_spoilt_is_named(file: Path) -> None:
    whole = file.read_bytes()
    for content in (b"", whole[:-1], whole[:20], b"\xff" * 64):
        file.write_bytes(content)
        assert refused(file).startswith("not a whole thing: ")
    file.unlink()
    assert refused(file) == "no such file"
    os.mkfifo(file)
    assert refused(file) == "no file"


def test_what_dckt_did_not_write(file: Path) -> None:
    save_file(load_file(file), file)
    assert refused(file).startswith("not a whole thing: not JSON")
    for about in ("[]", "{}", '{"facts": 3}', "[" * 100_000):
        save_file({"a": torch.ones(1)}, file, {"dckt": f"0 {about}"})
        assert refused(file).startswith("not a whole thing: ")


def test_another_kind_or_format(file: Path) -> None:
    save(file, kind="other")
    assert refused(file) == "of another kind: 'other', not 'thing'"
    save(file, format=4)
    assert refused(file) == "format 4, and this dckt reads 3"


def test_facts_that_were_changed(file: Path) -> None:
    with safe_open(file, framework="pt") as stored:
        checksum, _, text = stored.metadata()["dckt"].partition(" ")
    save_file(load_file(file), file, {"dckt": f"{checksum} {json.dumps(json.loads(text) | {'more': 1})}"})
    assert refused(file) == "not a whole thing: its checksum does not fit"


def test_a_digest_knows_names_types_and_shapes_and_no_order() -> None:
    assert tensors_digest(TENSORS) == tensors_digest(dict(reversed(TENSORS.items())))
    ones = torch.ones(2, 2)
    others = [{"b": ones}, {"a": ones.int()}, {"a": ones.reshape(4)}, {"a": ones * 2}]
    assert len({tensors_digest(one) for one in ({"a": ones}, *others)}) == 5


def test_a_file_that_goes_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is opened twice: torch, which maps it, has an error of its own."""
    file = tmp_path / "some.safetensors"
    save_tensors(file, {"x": torch.ones(2)}, kind="kind", format=1)

    def gone(*_: object, **__: object) -> None:
        raise RuntimeError(f"unable to open file <{file}> in read-only mode: No such file or directory (2)")

    monkeypatch.setattr("dckt_core.io.tensors.safe_open", gone)
    with pytest.raises(DataError, match="not a whole kind: unable to open file"):
        load_tensors(file, kind="kind", format=1)
    with pytest.raises(DataError, match="cannot be used: unable to open file"):
        peek(file, "x")
