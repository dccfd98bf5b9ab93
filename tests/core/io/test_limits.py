"""No file is read into memory that is larger than somebody said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dckt_core.base.errors import DataError, UsageError
from dckt_core.config import read_toml
from dckt_core.io.json import read_json, read_lines
from dckt_core.io.limits import CONFIG, JSON, TABLE, Limit
from dckt_core.runs.record import RunRecord


@pytest.mark.parametrize("limit", [CONFIG, JSON, TABLE])
def test_a_file_of_the_limit_is_read_and_one_of_a_byte_more_is_not(
    limit: Limit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limit.most == limit.usual
    monkeypatch.setenv(limit.variable, "10")
    (tmp_path / "x").write_bytes(b"0123456789")
    assert limit.read(tmp_path / "x") == b"0123456789"
    (tmp_path / "x").write_bytes(b"0123456789a")
    with pytest.raises(DataError, match=f"x: .* of more than 10 bytes; {limit.variable} allows more"):
        limit.read(tmp_path / "x")


@pytest.mark.parametrize("said", ["", "0", "-1", "1e9", "many", "٣"])
def test_a_limit_that_is_none_is_refused(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(JSON.variable, said)
    with pytest.raises(UsageError, match="DCKT_MAX_JSON must be a whole number of bytes from 1 on"):
        _ = JSON.most


def test_readers_keep_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (CONFIG, JSON, TABLE):
        monkeypatch.setenv(one.variable, "50")
    long = "a" * 60
    (tmp_path / "a.json").write_text(json.dumps({"a": long}))
    (tmp_path / "a.jsonl").write_text('{"id": "a"}\n' + json.dumps({"id": long}) + "\n")
    (tmp_path / "config.toml").write_text(f'a = "{long}"\n')
    (tmp_path / "metrics.csv").write_text(f"phase,iteration,update,metric,value\n{long},1,1,x,1\n")
    with pytest.raises(DataError, match=r"a\.json: a JSON file, or a line of one, of more than 50 bytes"):
        read_json(tmp_path / "a.json", "JSON")
    lines = read_lines(tmp_path / "a.jsonl", "lines")
    assert next(lines) == {"id": "a"}
    with pytest.raises(DataError, match=r"a\.jsonl: .* of more than 50 bytes"):
        next(lines)
    with pytest.raises(UsageError, match=r"config\.toml: a configuration of more than 50 bytes"):
        read_toml(tmp_path / "config.toml")
    for ask in ("config", "metrics"):
        with pytest.raises(DataError, match="of more than 50 bytes"):
            getattr(RunRecord(tmp_path), ask)
