from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from dckt_cli.main import main
from dckt_core.retrieval.shards import open_extraction
from dckt_core.runs.model import load
from tests.support.tolerance import SMALL, assert_same

Capture = pytest.CaptureFixture[str]
VECTORS = ("--encoder", "mean-vectors", "--encoder-opt", "vector_size=8")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of texts, one of them not UTF-8, and beside it one of pictures and texts."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"a {('red', 'green')[number % 2]} square with mark number {number}\n")
    return folder


def told(capsys: Capture, *arguments: str | Path) -> dict[str, Any]:
    """What the command says in JSON, which must stand alone on stdout."""
    capsys.readouterr()
    assert main(["extract", *map(str, arguments), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def refused(capsys: Capture, *arguments: str | Path) -> tuple[int, str]:
    """The exit code, and the one line on stderr."""
    capsys.readouterr()
    code = main(["extract", *map(str, arguments), "--quiet"])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return code, captured.err


@pytest.mark.parametrize("medium", ["image", "text"])
@pytest.mark.parametrize("checkpoint", ["before", "after"])
def test_places_in_a_runs_common_space(run: str, capsys: Capture, tmp_path: Path, medium: str, checkpoint: str) -> None:
    where = ("--run", run, "--checkpoint", checkpoint, "--input", "target", "--medium", medium)
    header = told(capsys, *where, "-o", tmp_path / "out", "--shard-size", "7")
    model = load(run, checkpoint=checkpoint)  # type: ignore[arg-type]
    pairs = model.target().pairs
    assert (header["count"], header["dim"], header["medium"]) == (len(pairs), model.dim, medium)
    assert header["made_by"]["weights_sha256"] == model.fingerprint
    assert header["made_by"]["checkpoint"] == checkpoint
    done = open_extraction(tmp_path / "out")
    ids, rows = done.load()
    assert ids == [pair.id for pair in pairs]
    own = model.encode_images if medium == "image" else model.encode_texts
    expected = own([pair.image_item if medium == "image" else pair.text_item for pair in pairs])  # type: ignore[arg-type]
    assert_same(rows, expected, terms=SMALL)
    for item, pair in zip(done.items(), pairs, strict=True):
        assert (item["id"], item["label"], item["split"]) == (pair.id, pair.label, pair.split)
        assert item[medium] == (pair.text if medium == "text" else pair.image.name)


def test_features_of_a_folder_under_an_encoder(texts: Path, capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "out"
    header = told(capsys, *VECTORS, "--input", texts, "-o", out)
    assert header["path"] == str(out)
    assert header["made_by"]["options"]["vector_size"] == 8
    assert len(header["made_by"]["weights_sha256"]) == 64
    ids, rows = open_extraction(out).load()
    assert ids == [f"{number}.txt" for number in range(6)]
    assert rows.shape == (6, 8)
    assert torch.isfinite(rows).all()


def test_texts_that_are_cut_are_counted(texts: Path, run: str, capsys: Capture, tmp_path: Path) -> None:
    short = ("--encoder-opt", "max_words=2")
    assert told(capsys, *VECTORS, "--input", texts, "-o", tmp_path / "whole")["cut_texts"] == 0
    assert main(["extract", *VECTORS, *short, "--input", str(texts), "-o", str(tmp_path / "cut")]) == 0
    line = f"{texts}: 6 of 6 texts are longer than the text encoder reads, and cut"
    assert line in " ".join(capsys.readouterr().err.split())
    assert json.loads((tmp_path / "cut/extraction.json").read_text())["cut_texts"] == 6
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    (gallery / "long.txt").write_text("red " * 201)
    (gallery / "short.txt").write_text("red square")
    assert main(["index", run, "--gallery", str(gallery), "-o", str(tmp_path / "index")]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{gallery}: 1 of 2 texts are longer than the text encoder reads, and cut" in said
    (step,) = json.loads((tmp_path / "index/index.json").read_text())["history"]
    assert step["added"]["text"]["cut_texts"] == 1


def test_the_same_command_again_has_nothing_to_do(texts: Path, capsys: Capture, tmp_path: Path) -> None:
    command = (*VECTORS, "--input", texts, "-o", tmp_path / "out")
    first = told(capsys, *command)
    assert told(capsys, *command) == first
    code, said = refused(capsys, *VECTORS, "--seed", "1", "--input", texts, "-o", tmp_path / "out")
    assert code == 2
    assert "holds an extraction of other items or by other means" in said


def test_skip_leaves_out_what_is_bad(texts: Path, capsys: Capture, tmp_path: Path) -> None:
    (texts / "3.txt").write_bytes(b"\xff\xfe")
    command = (*VECTORS, "--input", texts, "-o", tmp_path / "out")
    code, said = refused(capsys, *command)
    assert code == 3
    assert "3.txt: not UTF-8: byte 1 is 0xff" in said
    skipping = (*command, "--on-error", "skip")
    code, said = refused(capsys, *skipping)
    assert code == 3
    assert "1 of 6 items are bad so far, more than max_bad_fraction = 0.01 allows" in said
    assert main(["extract", *map(str, skipping), "--max-bad-fraction", "0.2", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith("out: 5 texts, 8 values each, in 1 file")
    assert out.splitlines()[1].startswith("left out: 1; see ")
    assert "3.txt" in (tmp_path / "out" / "dropped.jsonl").read_text()


def test_a_broken_picture_is_skipped_and_listed(run: str, capsys: Capture, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    whole = Path("target/red-test-0.png").read_bytes()
    for number in range(5):
        (pictures / f"{number}.png").write_bytes(whole[:60] if number == 2 else whole)
    command = ("--run", run, "--input", pictures, "-o", tmp_path / "out", "--batch", "2")
    code, said = refused(capsys, *command)
    assert code == 3
    assert "2.png: cannot be decoded" in said
    header = told(capsys, *command, "--on-error", "skip", "--max-bad-fraction", "0.5")
    assert (header["count"], header["dropped"]) == (4, 1)
    dropped = json.loads((tmp_path / "out" / "dropped.jsonl").read_text())
    assert dropped["file"].endswith("2.png")
    assert dropped["reason"].startswith("cannot be decoded")


def test_progress_has_a_line_at_the_end(texts: Path, capsys: Capture, tmp_path: Path) -> None:
    assert main(["extract", *VECTORS, "--input", str(texts), "-o", str(tmp_path / "out")]) == 0
    assert "extracting 6 texts: 6/6" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say either --encoder or --run"),
        (["--encoder", "vgg19", "--run", "RUN"], 2, "say either --encoder or --run"),
        (["--run", "RUN", "--encoder-opt", "a=b"], 2, "--encoder-opt goes with --encoder"),
        (["--run", "RUN", "--seed", "1"], 2, "--seed goes with --encoder"),
        (["--encoder", "vgg19", "--checkpoint", "after"], 2, "--checkpoint goes with --run"),
        (["--run", "RUN", "--max-bad-fraction", "0.5"], 2, "--max-bad-fraction goes with --on-error skip"),
        (["--run", "gone", "--medium", "text"], 3, "gone: no such run"),
        (["--run", "RUN"], 2, "target: say which medium: image or text"),
        (["--encoder", "vgg"], 2, "unknown encoder 'vgg': did you mean 'vgg19'?"),
        (["--encoder", "vgg19", "--encoder-opt", "sise=1"], 2, "unknown option 'sise' of encoder 'vgg19'"),
        (["--encoder", "vgg19", "--medium", "text"], 2, "encoder 'vgg19' is one of images, and medium says text"),
        (["--run", "RUN", "--medium", "text", "--input", "nowhere"], 3, "nowhere"),
        (["--run", "RUN", "--medium", "text", "--device", "cuda"], 2, "cuda"),
        (["--run", "RUN", "--medium", "text", "-o", "target"], 2, "target: not empty, and no extraction"),
    ],
)
def test_bad_usage_is_one_line(
    run: str, capsys: Capture, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    given = [run if word == "RUN" else word for word in arguments]
    command = ["--input", "target", "-o", tmp_path / "out", *given]
    ended, line = refused(capsys, *command)
    assert (ended, said in line) == (code, True), line
