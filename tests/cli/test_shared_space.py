"""Trainings on encoders that share a space, and on such as do not: what their parts do, and what is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import dckt_core
from dckt_cli.main import main
from dckt_core.data.manifest import load_manifest
from dckt_core.io.tensors import load_tensors
from dckt_core.space.space import FORMAT, KIND
from tests.support.dual_encoders import save
from tests.support.squares import SOURCE, TARGET, Capture, Train, flags

COLOURS = {**SOURCE, **TARGET}
SHARED = ("zero-shot", "cache")


@pytest.fixture
def train(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train("--preset", "tuned", ..., name="a")`: a tiny run without an encoder of its own."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(data / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, name: str = "a") -> int:
        where = ["--source", str(data / "source"), "--target", str(data / "target"), "--device", "cpu"]
        return main(["train", *where, "--name", name, *flags(), *arguments])

    return run


def said(capsys: Capture) -> str:
    found = capsys.readouterr()
    return " ".join((found.out + found.err).split())


@pytest.fixture
def rows(data: Path, tmp_path: Path) -> list[str]:
    """Options for features in which both media say the colour, and images and texts lie apart."""
    options = []
    for seed, medium in enumerate(("image", "text")):
        rng = np.random.default_rng(seed)
        for role in ("source", "target"):
            pairs = load_manifest(data / role / "pairs.jsonl").pairs
            shown = [(pair.id, pair.label) for pair in pairs]
            if medium == "text":
                shown += [(f"name:{name}", name) for name in TARGET]
            place = [np.array([*COLOURS[str(label)], 0, 0]) / 255 for _, label in shown]
            features = np.stack(place) + 0.1 * rng.normal(size=(len(shown), 5))
            features[:, 3 + seed] += 2
            np.savez(tmp_path / f"{role}-{medium}.npz", features=features, ids=np.array([key for key, _ in shown]))
        flag = "--encoder" if medium == "image" else "--text-encoder"
        options += [flag, f"precomputed-{medium}"]
        for role in ("source", "target"):
            options += [f"{flag}-opt", f"{role}={tmp_path / f'{role}-{medium}.npz'}"]
        options += [f"{flag}-opt", "key=features"]
    return options


SPACE = ["--encoder-opt", "space=colours", "--text-encoder-opt", "space=colours"]


def test_parts_of_a_shared_space_are_in_it(train: Train, rows: list[str], capsys: Capture) -> None:
    parts = [word for name in SHARED for word in ("--part", name)]
    assert train("--preset", "tuned", *parts, *rows, *SPACE) == 0
    told = json.loads(Path("runs/a/summary.json").read_text())
    placed = {*told["space"]["weights"], *told["space"]["left_out"]}
    assert placed >= set(SHARED)
    assert not set(SHARED) & set(told["space"]["aside"])
    assert {part for part, _ in told["space"]["notes"]} >= set(SHARED)
    model = dckt_core.load("runs/a")
    assert model.encode_images(np.eye(2, 5)).shape == (2, model.dim)


def test_nothing_has_to_be_known_in_a_shared_space(train: Train, rows: list[str], capsys: Capture) -> None:
    keys = ("offer.source_items=none", "offer.train_items=none", "offer.class_names=false")
    nothing = [word for key in keys for word in ("--set", key)]
    assert train("--preset", "tuned", *rows, *nothing) == 3
    assert "nothing says which images and texts belong together" in said(capsys)
    assert train("--preset", "tuned", *rows, *SPACE, *nothing, name="b") == 0
    assert json.loads(Path("runs/b/summary.json").read_text())["space"]["weights"].keys() == {"zero-shot"}


def test_rows_of_one_space_have_one_width(train: Train, rows: list[str], tmp_path: Path, capsys: Capture) -> None:
    for role in ("source", "target"):
        held = dict(np.load(tmp_path / f"{role}-text.npz"))
        np.savez(tmp_path / f"{role}-text.npz", **{**held, "features": held["features"][:, :4]})
    assert train("--preset", "tuned", *rows, *SPACE) == 2
    assert "both encoders are said to lie in space 'colours', and their rows have 5 and 4 values" in said(capsys)


def test_where_no_space_is_shared_who_asks_is_told_and_a_preset_is_silent(
    train: Train, rows: list[str], capsys: Capture
) -> None:
    assert train("--preset", "paper", "--part", "linear", "--part", "zero-shot", *rows) == 0
    reason = "features of images and of texts do not lie in one space"
    assert f"part 'zero-shot' steps aside: {reason}" in said(capsys)
    assert json.loads(Path("runs/a/summary.json").read_text())["space"]["aside"] == {"zero-shot": reason}
    assert train("--preset", "tuned", *rows, "--encoder-opt", "space=colours", name="b") == 0
    assert "zero-shot" not in said(capsys)
    told = json.loads(Path("runs/b/summary.json").read_text())["space"]
    assert not {*told["aside"], *told["widths"], *told["left_out"]} & set(SHARED)
    assert train("--preset", "tuned", *rows, "--part", "zero-shot=2", name="d") == 0
    assert f"part 'zero-shot' steps aside: {reason}" in said(capsys)
    assert train("--preset", "tuned", *rows, "--part", "zero-shot=0", "--part", "cache=0", name="c") == 0
    with_them, without = (
        load_tensors(Path(f"runs/{name}/checkpoints/space.safetensors"), kind=KIND, format=FORMAT) for name in "bc"
    )
    assert with_them[0].keys() == without[0].keys()
    assert all(torch.equal(value, without[0][name]) for name, value in with_them[0].items())


def test_one_model_reads_both_media(train: Train, tmp_path: Path, capsys: Capture) -> None:
    folder = save("CLIP", tmp_path)
    one = ["transformers", "--encoder-opt", f"model={folder}", "--text-encoder-opt", f"model={folder}"]
    cut = ["--text-encoder-opt", "max_tokens=8"]
    prompts = ["--set", 'prompts=["a photo of a {}.", "{}!"]']
    assert (
        train("--preset", "tuned", "--part", "zero-shot", "--encoder", *one, "--text-encoder", one[0], *cut, *prompts)
        == 0
    )
    assert "target: 24 of 24 texts are longer than the text encoder reads, and cut" in said(capsys)
    told = json.loads(Path("runs/a/summary.json").read_text())
    assert told["cut_texts"] == {"source": 15, "target": 24}
    model = dckt_core.load("runs/a")
    assert model.config.prompts == ("a photo of a {}.", "{}!")
    assert model.setup.same_space
    names = model.setup.domain("target").names
    assert [item.text for item in names.items] == [
        text for name in sorted(TARGET) for text in (f"a photo of a {name}.", f"{name}!")
    ]
    assert names.labels.tolist() == [0, 0, 1, 1]
    assert model.encode_texts("a red square").shape == (1, model.dim)


@pytest.mark.parametrize("prompt", ["a photo", "{} and {}", "{name}"])
def test_a_prompt_has_one_place_for_a_name(train: Train, prompt: str, capsys: Capture) -> None:
    assert train("--set", f'prompts=["{prompt}"]') == 2
    assert "prompts" in said(capsys)


def test_features_of_a_medium_by_an_encoder_of_both(data: Path, tmp_path: Path, capsys: Capture) -> None:
    encoder = ["--encoder", "transformers", "--encoder-opt", f"model={save('SigLIP', tmp_path)}"]
    where = ["extract", "--input", str(data / "target"), *encoder, "--device", "cpu", "--quiet"]
    assert main([*where, "-o", str(tmp_path / "out")]) == 2
    assert "encoder 'transformers' is one of both media: say which: image or text" in said(capsys)
    for medium in ("image", "text"):
        assert main([*where, "--medium", medium, "-o", str(tmp_path / medium)]) == 0
        told = json.loads((tmp_path / medium / "extraction.json").read_text())
        assert (told["medium"], told["dim"]) == (medium, 24)
