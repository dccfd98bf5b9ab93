from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from dckt_cli.cache import DAY
from dckt_cli.main import main
from dckt_core.contract.pairs import TextItem
from dckt_core.data.features import encode_items
from tests.support.spies import Spy

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds features, findings about pictures, and files that are none of dckt's."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path))
    encoder = Spy().texts()
    texts = [TextItem(text, text) for text in ("a", "b")]
    encode_items(encoder, texts, device=torch.device("cpu"), batch=2, cache_dir=tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / f"{'0f' * 32}.json").write_text("[]" * 500)
    (tmp_path / "images" / "holiday.jpg").write_bytes(b"mine")
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def parts(capsys: Capture) -> dict[str, int]:
    capsys.readouterr()
    assert main(["cache", "list", "--json"]) == 0
    return {part["what"]: part["bytes"] for part in json.loads(capsys.readouterr().out)["parts"]}


def test_parts_are_listed_with_sizes_and_ages(home: Path, capsys: Capture) -> None:
    found = parts(capsys)
    (features,) = [what for what in found if what.startswith("features of ")]
    assert found["what was found out about pictures"] == 1000
    rows = [file for file in home.glob("features/*/*") if file.is_file()]
    assert found[features] == sum(file.stat().st_size for file in rows)
    assert main(["cache", "list"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["size", "age", "what"]
    assert "1.0 kB  1 minute  what was found out about pictures" in out
    assert out.splitlines()[-1].startswith(f"{home}: ")


def test_clearing_leaves_what_dckt_did_not_make(home: Path, capsys: Capture) -> None:
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(" freed")
    assert parts(capsys) == {}
    left = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    assert left == ["images/holiday.jpg", "notes.txt"]
    assert main(["cache", "clear"]) == 0, "an empty cache is no fault"


def test_what_an_encoder_calls_itself_does_not_steer_the_terminal(home: Path, capsys: Capture) -> None:
    (about,) = home.glob("features/*/about.json")
    about.write_text(json.dumps({"encoder": "evil\x1b[2J\nremoved everything"}))
    for command in ("list", "clear"):
        assert main(["cache", command]) == 0
        out = capsys.readouterr().out
        assert "evil" in out
        assert "\x1b" not in out
        assert not any(line.startswith("removed everything") for line in out.splitlines())


def test_clearing_by_kind_and_age(home: Path, capsys: Capture) -> None:
    before = parts(capsys)
    assert main(["cache", "clear", "--older-than", "1"]) == 0
    assert parts(capsys) == before
    old = time.time() - 2 * DAY
    os.utime(home / "images" / f"{'0f' * 32}.json", (old, old))
    assert main(["cache", "clear", "--older-than", "1", "--kind", "features"]) == 0
    assert parts(capsys) == before
    assert main(["cache", "clear", "--older-than", "1"]) == 0
    assert parts(capsys).keys() == before.keys() - {"what was found out about pictures"}


def test_no_cache_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "none"))
    assert parts(capsys) == {}
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'none'}: 0 B\n"
    assert main(["cache", "clear", "--older-than", "nan"]) == 2
