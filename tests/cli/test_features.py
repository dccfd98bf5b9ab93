"""Features in files, from one command to the next: what is extracted, and data whose pictures are not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dckt_cli.main import main
from tests.support.squares import SOURCE, TARGET, write_squares

Capture = pytest.CaptureFixture[str]
SIZES = {"train": 5, "val": 3, "test": 4}
VGG = ["--encoder", "vgg19", "--encoder-opt", "weights=none", "--encoder-opt", "size=32"]
WORDS = ["--encoder", "mean-vectors", "--encoder-opt", "vector_size=8"]
LIGHT = ["--set", "space.parts.target-network.weight=0", "--set", "space.parts.source-network.weight=0", "--quiet"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_squares(tmp_path / "source", SOURCE, SIZES)
    write_squares(tmp_path / "target", TARGET, SIZES)
    return tmp_path


def refused(capsys: Capture, *arguments: str) -> str:
    """The one line on stderr of a command that ends with an error."""
    capsys.readouterr()
    assert main(list(arguments)) in (2, 3)
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_extract_writes_is_what_precomputed_reads(home: Path, capsys: Capture) -> None:
    flags = ["--encoder", "precomputed-image", "--text-encoder", "precomputed-text"]
    for medium, how, flag in (("image", VGG, "--encoder-opt"), ("text", WORDS, "--text-encoder-opt")):
        for role in ("source", "target"):
            out = f"{role}.{medium}s"
            assert main(["extract", *how, "--input", role, "--medium", medium, "-o", out, "--quiet"]) == 0
            flags += [flag, f"{role}={out}"]
    for role in ("source", "target"):
        for picture in (home / role).glob("*.png"):
            picture.unlink()
    assert main(["train", "--source", "source", "--target", "target", "--name", "run", *flags, *LIGHT]) == 0
    assert main(["index", "runs/run", "-o", "index", "--quiet"]) == 0
    assert main(["index", "index", "--add", "target.images", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["search", "index", "--text-features", "target.texts", "-k", "1", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 24
    colour = [line["query"]["features"].split("-")[0] == line["results"][0]["id"].split("-")[0] for line in found]
    assert sum(colour) > 18
    assert found[0]["results"][0]["image"].startswith(str(home / "target")), "as the extraction tells"

    np.save("wide.npy", np.ones((2, 3)))
    assert "wide.npy: rows of 3 values, and the image encoder of " in refused(
        capsys, "index", "index", "--add", "wide.npy", "--medium", "image"
    )
    assert "wide.npy: say which medium its 2 rows of 3 values are of" in refused(
        capsys, "index", "index", "--add", "wide.npy"
    )
    assert main(["extract", "--run", "runs/run", "--input", "target.texts", "-o", "places", "--quiet"]) == 0
    assert "places: places in the common space of a run, and no features" in refused(
        capsys, "extract", "--run", "runs/run", "--input", "places", "-o", "again"
    )


def test_a_check_counts_the_classes_that_nobody_can_name(tmp_path: Path, capsys: Capture) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    what = {"images": rows, "texts": rows[::-1], "labels": np.arange(6) % 3, "splits": np.repeat(["train", "test"], 3)}
    for names, line in (
        ({}, "0 of 3 classes have names of their own; 3 have none"),
        (
            {"class_names": rows[:2], "class_labels": np.array([0, 2])},
            "2 of 3 classes have names of their own; 1 have none",
        ),
    ):
        np.savez(tmp_path / "set.npz", **what, **names)
        assert main(["datasets", "check", str(tmp_path / "set.npz")]) == 0
        assert line in capsys.readouterr().out.splitlines()


def test_features_must_be_those_of_the_runs_encoder(home: Path, capsys: Capture) -> None:
    flags = [*VGG, "--text-encoder", "mean-vectors", "--text-encoder-opt", "vector_size=8"]
    assert main(["train", "--source", "source", "--target", "target", "--name", "run", *flags, *LIGHT]) == 0
    other = ["--encoder", "mean-vectors", "--encoder-opt", "vector_size=8", "--seed", "1"]
    assert main(["extract", *other, "--input", "target", "-o", "other", "--quiet"]) == 0
    assert "other: its rows are of encoder '" in refused(capsys, "index", "runs/run", "--gallery", "other", "-o", "i")
    assert main(["extract", *VGG, "--input", "target", "-o", "own", "--quiet"]) == 0
    assert main(["index", "runs/run", "--gallery", "own", "-o", "from-rows", "--quiet"]) == 0
    assert main(["index", "runs/run", "--gallery", "target", "--medium", "image", "-o", "whole", "--quiet"]) == 0
    answers = []
    for index in ("from-rows", "whole"):
        capsys.readouterr()
        assert main(["search", index, "--text", "a red square", "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["results"])
    assert [hit["id"] for hit in answers[0]] == [hit["id"] for hit in answers[1]]
    assert [hit["image"] for hit in answers[0]] == [hit["image"] for hit in answers[1]]


def test_pictures_that_are_not_there_are_missed_by_who_looks_at_them(home: Path, capsys: Capture) -> None:
    (home / "target" / "red-test-0.png").unlink()
    assert main(["datasets", "check", "target", "--no-pictures"]) == 0
    assert main(["datasets", "check", "target"]) == 3
    assert "red-test-0.png': no such file" in capsys.readouterr().out
