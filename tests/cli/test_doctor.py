from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_apps import doctor
from dckt_cli.main import main
from dckt_core import __version__
from tests.support.commands import BROKEN, Dckt

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def told(capsys: Capture, code: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    """The findings by what they are about and what they are."""
    capsys.readouterr()
    assert main(["--no-plugins", "doctor", "--json"]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is (code == 0)
    return {(one["about"], one["what"]): one for one in answer["findings"]}


def test_what_it_runs_on(capsys: Capture, cache: Path) -> None:
    found = told(capsys)
    assert found["versions", "dckt"]["says"] == __version__
    assert found["versions", "torch"]["says"] == metadata.version("torch")
    assert "cpu" in found["devices", "cpu"]["says"] or "threads" in found["devices", "cpu"]["says"]
    assert found["kernels", "cpu"]["says"] == "closed_form"
    assert ("kernels", "cuda") in found or not torch.cuda.is_available()
    assert found["plugins", "dckt"]["says"].endswith(" plugins")
    assert found["extras", "serve"]["says"].startswith(("installed", "not whole: "))
    assert ("cache", str(cache)) in found
    assert main(["--no-plugins", "doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "wrong: nothing"


def test_a_plugin_that_is_left_out_is_wrong(dckt: Dckt) -> None:
    done = dckt("doctor", load=["dckt-raising-hook"])
    assert done.returncode == 1
    *_, count, last = done.stdout.splitlines()
    assert count == "wrong: 1"
    assert last.startswith("plugins: plugin 'raising-hook' of dckt-raising-hook 1.0: left out: ")
    assert BROKEN["dckt-raising-hook"] in last
    assert "dckt: warning" not in done.stderr, "it is told once"


def test_a_package_that_is_too_old_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    real = metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "0.1" if name == "click" else real(name))
    found = told(capsys, code=1)
    assert found["versions", "click"]["says"] == "is 0.1, and <9,>=8.1 is needed"


def test_a_cache_without_room_or_that_cannot_be_written_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    usage = doctor.shutil.disk_usage("/")._replace(free=1)
    with monkeypatch.context() as patch:
        patch.setattr(doctor.shutil, "disk_usage", lambda place: usage)
        assert told(capsys, code=1)["cache", "room"]["wrong"] is True

    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert told(capsys, code=1)["cache", "writing"]["says"].endswith(": Permission denied")
