"""`dckt datasets audit`: labels that were changed on purpose are shown, on a page that runs nothing of theirs."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dckt_cli.main import main
from tests.support.squares import error

EVIL = "<script>alert(1)</script>"
WORDS = {"cat": ("purr", "whisker", "meow"), "dog": ("bark", "leash", "bone"), EVIL: ("=cmd", "hay", "milk")}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes of twelve, told apart by their words; the label of `0.png` is wrong."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    folder, draw, rows = tmp_path / "set", np.random.default_rng(0), []
    folder.mkdir()
    for number in range(36):
        label = list(WORDS)[number % 3]
        words = [*WORDS[label], *draw.permutation(["one", "two", "three"])]
        Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")
        text = f"{EVIL} {' '.join(words)}" if number == 0 else " ".join(words)
        rows.append({"image": f"{number}.png", "text": text, "label": label, "split": "train"})
    rows[0]["label"] = EVIL
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    vectors = {word: np.eye(16)[place] for place, word in enumerate(w.lstrip("=") for ws in WORDS.values() for w in ws)}
    lines = [f"{word} {' '.join(map(str, vector))}" for word, vector in vectors.items()]
    (tmp_path / "vectors.txt").write_text(f"{len(lines)} 16\n" + "\n".join(lines))
    return folder


def audit(folder: Path, *flags: str) -> int:
    by = ["--text-encoder", "mean-vectors", "--text-encoder-opt", f"vectors={folder.parent / 'vectors.txt'}"]
    return main(["datasets", "audit", str(folder), "-o", str(folder.parent / "out"), "--quiet", *by, *flags])


def test_a_wrong_label_is_shown_with_its_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(folder) == 0
    out = folder.parent / "out"
    assert capsys.readouterr().out.splitlines()[-2:] == [str(out / "audit.html"), str(out / "audit.csv")]
    with (out / "audit.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["id"], rows[0]["likely"], rows[0]["split"]) == ("0.png", "cat", "train")
    assert float(rows[0]["margin"]) < 0
    page = (out / "audit.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_it_needs_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "audit", str(folder), "-o", "x"]) == 2
    assert "say by which features" in capsys.readouterr().err
    assert main(["datasets", "audit", str(folder), "-o", "x", "--encoder-opt", "size=3"]) == 2
    assert "--encoder-opt goes with --encoder" in capsys.readouterr().err
    assert main(["datasets", "audit", str(folder), "-o", "x", "--encoder", "mean-vectors"]) == 2
    assert "no encoder of images" in error(capsys)
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    (folder / "pairs.jsonl").write_text("\n".join(lines[:9]))
    assert audit(folder) == 3
    assert "an audit needs 2 classes of 5 items, and there are 0" in error(capsys)
