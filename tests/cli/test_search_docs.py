"""The examples of docs/search.md run as they stand, in their order."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dckt_core
from dckt_cli.main import main
from dckt_core.data.inputs import inputs_for
from tests.support.tolerance import SMALL, assert_same

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text("utf-8")
Capture = pytest.CaptureFixture[str]


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def home(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page speaks of, to be in."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    shutil.copytree(trained / "target", tmp_path / "target")
    for folder, split in (("photos", "test"), ("more-photos", "train")):
        (tmp_path / folder).mkdir()
        for file in (tmp_path / "target").glob(f"*-{split}-*.png"):
            shutil.copy(file, tmp_path / folder)
    (tmp_path / "captions").mkdir()
    (tmp_path / "captions" / "a.txt").write_text("a red square")
    (tmp_path / "queries.jsonl").write_text('{"text": "green"}\n{"image": "photos/red-test-1.png"}\n')
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands(home: Path, capsys: Capture) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 8
    for line in lines:
        command, *words = shlex.split(line)
        assert command == "dckt"
        assert main([*words, "--quiet"]) == 0, line
    out = capsys.readouterr().out
    told = [line for line in out.splitlines() if line.startswith("{")]
    assert len(told) == 3, "--json: one image, a batch of two"
    assert json.loads((home / "photos.index" / "index.json").read_text())["counts"] == {"image": 8 + 10 - 1}


def test_python(home: Path, capsys: Capture) -> None:
    first, second = blocks("python")
    names: dict[str, object] = {}
    exec(first, names)
    model = dckt_core.load("runs/squares")
    rows = names["rows"]
    assert isinstance(rows, torch.Tensor)
    assert rows.shape == (1, model.dim)
    assert len([line for line in capsys.readouterr().out.splitlines() if line.endswith(".png")]) == 3
    again = dckt_core.open_index("photos.index").search_texts(["a red square"], k=8)
    searcher = names["searcher"]
    assert isinstance(searcher, dckt_core.Searcher)
    assert again == searcher.search_texts(["a red square"], k=8)
    assert repr(searcher).startswith("Searcher('photos.index', ") and len(repr(searcher.model)) < 200
    with pytest.raises(dckt_core.ArgumentError, match="^k: 0 is no whole number from 1$"):
        searcher.search_texts(["a red square"], k=0)
    bare = [replace(hit, probability=None) for hit in again[0]]
    assert [bare] == searcher.search(rows, "image", k=8), "whose rows they are is not said"
    assert main(shlex.split("extract --run runs/squares --input photos --medium image -o photos.rows --quiet")) == 0
    exec(second, names)
    photos = sorted(str(path) for path in Path("photos").iterdir())
    assert names["ids"] == [Path(photo).name for photo in photos]
    assert_same(names["rows"], model.encode_images(photos), terms=SMALL)  # type: ignore[arg-type]
    dckt_core.remove_from_index("photos.index", ["red-test-0.png"])
    assert dckt_core.add_to_index("photos.index", "more-photos", model) == {"image": (10, 0)}
    assert len(dckt_core.open_index("photos.index").search_texts(["a"], k=100)[0]) == 17


def test_classes_are_those_of_the_target_network(home: Path, tmp_path: Path) -> None:
    model = dckt_core.load("runs/squares")
    texts = [pair.text_item for pair in model.target().pairs]
    device = torch.device("cpu")
    inputs = inputs_for(model.encoder("text"), texts, device=device, batch=8, cache_dir=tmp_path / "cache")
    probabilities = model.networks["target"].represent(None, inputs[torch.arange(len(texts))]).text
    assert model.predict_texts(texts) == [model.classes[row.index(max(row))] for row in probabilities.tolist()]
    photos = sorted(Path("photos").iterdir())
    columns = model.encode_images(photos).argmax(dim=1)
    assert model.predict_images(photos) == [model.classes[column] for column in columns.tolist()]
    assert model.predict_texts([]) == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dckt_core' has no attribute 'lode'"):
        dckt_core.lode  # noqa: B018
