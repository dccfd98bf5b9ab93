"""The page on exports works as it stands, and what it exports gives what dckt gives."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dckt_core
from dckt_cli.main import main
from tests.support.needs import part
from tests.support.pages import ROOT

PAGE = (ROOT / "docs" / "exports.md").read_text("utf-8")
WITHOUT = {"space": {"parts": {"target-network": {"weight": 0}, "source-network": {"weight": 0}}}}


def write(file: Path, count: int, classes: int, splits: list[str]) -> None:
    rng = np.random.default_rng(count)
    maps = [np.random.default_rng(width).normal(size=(8, width)) for width in (32, 24)]
    label = rng.integers(classes, size=count)
    shared = 3 * np.eye(8)[label] + rng.normal(size=(count, 8))
    images, texts = (shared @ one + rng.normal(size=(count, one.shape[1])) for one in maps)
    np.savez(file, images=images, texts=texts, labels=label, splits=rng.choice(splits, count))
    np.save(file.with_name("questions.npy"), texts[:5])


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnx", "onnxruntime", "pyarrow", "faiss"):
        part(package)
    import faiss

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    write(tmp_path / "large.npz", 300, 8, ["train"])
    write(tmp_path / "small.npz", 150, 5, ["train", "val", "test"])
    places = {"source": {"location": "large.npz"}, "target": {"location": "small.npz"}}
    dckt_core.train(dckt_core.resolve_config(flags={**places, **WITHOUT}), name="mine")
    model = dckt_core.load("runs/mine")
    questions = np.load("questions.npy")
    expected = model.encode_texts(questions).numpy(), model.text_probabilities(questions).numpy()
    names: dict[str, Any] = {}
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        if language == "python":
            exec(block, names)
        for line in block.splitlines() if language == "sh" else ():
            assert main(shlex.split(line)[1:]) == 0, line
    for found in ((names["embeddings"], names["probabilities"]), (names["texts"], names["classes"])):
        for given, own in zip(found, expected, strict=True):
            np.testing.assert_allclose(given, own, rtol=0, atol=1e-5)
    images = dckt_core.read_features("images.parquet")
    assert (len(images), images.dim) == (150, model.dim)
    whole = model.encode_images(np.load("small.npz")["images"])
    cosines = (images.of(["0", "1"]) * whole[:2] / whole[:2].norm(dim=1, keepdim=True)).sum(dim=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-5)
    index = faiss.read_index("texts.faiss")
    _, rows = index.search((expected[0] / np.linalg.norm(expected[0], axis=1, keepdims=True)), 1)
    items = (tmp_path / "texts.faiss.items.jsonl").read_text("utf-8").splitlines()
    assert [f'"id": "{number}"' in items[row] for number, row in enumerate(rows[:, 0])] == [True] * 5
    card = (tmp_path / "mine-card" / "README.md").read_text("utf-8")
    assert "# mine" in card
    assert "model.encode_texts(features)  # [n, d], as it learnt from" in card, "the page's run knows no words"
    assert re.search(r"\| common space \| 0\.\d{3} \(0\.\d{3}-", card)
    assert main(["export", "runs/mine", "--to", "card", "-o", "mine-card"]) == 2
    assert "mine-card/README.md: is there already" in capsys.readouterr().err
