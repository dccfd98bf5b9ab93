"""The page on embeddings works as it stands: its blocks are run in their order, but for those without a language."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from dckt_cli.main import main
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "embeddings.md").read_text("utf-8")
WITHOUT_NETWORKS = ["--set", "space.parts.target-network.weight=0", "--set", "space.parts.source-network.weight=0"]
"""They take most of the time, and the page does not need them."""


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    said = ""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if language == "python":
            exec(block, {})
        for line in block.splitlines() if language == "sh" else ():
            _, *words = shlex.split(line)
            extra = WITHOUT_NETWORKS if words[0] == "train" else []
            assert main([*words, *extra]) == 0, line
        said += capsys.readouterr().out
    assert "as a target it offers all labels" in said
    assert "5 class names" in said
    assert "dckt search runs/mine --text-features FILE | --image-features FILE" in said, "what the page says next"
    assert "class-names" in said, "the part that learns from them is in the table"
    assert "mine.index: 150 images and 150 texts" in said
    assert "added: 0 images, and 150 replaced" in said
    assert said.count('"query": {"features": "2", "of": "text"}') == 1
    assert re.search(r"^[01]\.\d{3} \d+$", said, re.MULTILINE), "hits in Python"
    assert '"image": ' not in said, "there is no picture, and none is told of"
    monkeypatch.undo()

    # Other test rows; and a run is searched by features where the files that it was fitted on are gone.
    others = dict(np.load(tmp_path / "small.npz"))
    np.savez(tmp_path / "others.npz", **{**others, "splits": np.array(["test"] * 150)})
    run = tmp_path / "runs/mine"
    assert main(["evaluate", str(run), "--target", str(tmp_path / "others.npz"), "--tasks", "across", "--json"]) == 0
    assert '"pairs": 150' in capsys.readouterr().out
    for name in ("large.npz", "small.npz"):
        (tmp_path / name).unlink()
    where = ["search", str(tmp_path / "mine.index"), "--run", str(run)]
    assert main([*where, "--text-features", str(tmp_path / "questions.npy")]) == 0
    assert main([*where, "--text", "hello"]) == 2
    assert "give its features (such as dckt search --text-features FILE)" in capsys.readouterr().err
