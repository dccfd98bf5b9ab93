"""`dckt gap` on a run trained for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dckt_apps.gap.layers import LayerRows, layer_rows
from dckt_cli.main import main
from dckt_core.base.errors import ExitCode
from dckt_core.contract.discovery import load_registry
from dckt_core.contract.names import LAYERS
from dckt_core.data.context import Context
from dckt_core.runs.model import load
from dckt_core.runs.seal import seal_run
from dckt_kernels import mk_mmd
from tests.support.tolerance import SMALL, assert_same

Capture = pytest.CaptureFixture[str]


CONTEXT = Context(load_registry(plugins=False), Path("cache"))


def gap(capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["gap", *arguments, "--json", "--quiet"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def rows(run: str, pairs: int = 100) -> dict[tuple[str, str], LayerRows]:
    found = layer_rows(Path(run), CONTEXT, pairs=pairs)
    return {(one.checkpoint, one.layer): one for one in found}


def test_every_layer_before_transfer_after_it_and_in_the_control(run: str, capsys: Capture) -> None:
    said = gap(capsys, run, "--permutations", "19")
    assert said["pairs"] == {"source": 15, "target": 10}
    assert list(said["layers"]) == ["before", "control", "after"]
    outputs = rows(run)
    for checkpoint, layers in said["layers"].items():
        assert list(layers) == list(LAYERS)
        for layer, one in layers.items():
            of_layer = outputs[checkpoint, layer]
            mmd = mk_mmd(of_layer.source, of_layer.target)
            assert_same(one["mmd"], mmd, terms=of_layer.source.shape[1], scale=1, dtype=torch.float32)
            assert 0.05 <= one["p_value"] <= 1
    weights = {layer: one["weight"] for layer, one in said["layers"]["after"].items()}
    assert weights == dict.fromkeys(LAYERS, 1.0) | {"common_fc9": 2.0}


def test_the_same_seed_gives_the_same_figures(run: str, capsys: Capture) -> None:
    arguments = (run, "--pairs", "8", "--permutations", "19")
    first = gap(capsys, *arguments)
    assert first["pairs"] == {"source": 8, "target": 8}
    assert gap(capsys, *arguments) == first
    assert gap(capsys, *arguments, "--seed", "1") != first


def test_rows_are_what_each_domain_s_own_network_puts_out(run: str) -> None:
    model = load(run, checkpoint="before", cache_dir=Path("cache"))
    pairs = model.target().split("train")
    images = [pair.image_item for pair in pairs]
    with torch.no_grad():
        inputs = model.encoder("image").module(model.encoder("image").prepare(images))
        outputs = model.space(inputs, None)
    found = rows(run)
    assert_same(found["before", "image_fc7"].target, outputs.image_fc7, terms=SMALL)
    common = found["before", "common_fc9"]
    assert common.stacked == 2
    assert len(common.target) == 2 * len(pairs)
    assert_same(common.target[: len(pairs)], outputs.common_fc9, terms=SMALL)  # image rows first
    assert not torch.equal(found["after", "common_fc9"].source, common.source), "the source network learns, too"
    assert_same(found["after", "common_fc9"].source, found["control", "common_fc9"].source, terms=SMALL)


def test_batch_statistics_are_those_of_training(run: str, capsys: Capture) -> None:
    found = layer_rows(Path(run), CONTEXT, pairs=100, statistics="batch")
    by_name = {(one.checkpoint, one.layer): one for one in found}
    model = load(run, checkpoint="after", cache_dir=Path("cache"))
    pairs = model.target().split("train")
    images, texts = [pair.image_item for pair in pairs], [pair.text_item for pair in pairs]
    assert model.encoder("text").trainable, "its module is part of the network"
    with torch.no_grad():
        features = model.encoder("image").module(model.encoder("image").prepare(images))
        outputs = model.space.train()(features, model.encoder("text").prepare(texts))
    assert_same(by_name["after", "image_fc6"].target, outputs.image_fc6, terms=SMALL)
    assert_same(by_name["after", "common_fc9"].target, outputs.common_fc9, terms=SMALL)
    running = gap(capsys, run, "--permutations", "1")
    batch = gap(capsys, run, "--permutations", "1", "--statistics", "batch")
    assert running["layers"]["after"] != batch["layers"]["after"]


def test_the_table(run: str, capsys: Capture) -> None:
    assert main(["gap", run, "--permutations", "19"]) == 0
    told = capsys.readouterr().out
    for words in ("15 source and 10 target pairs", "before transfer", "target-only control", "after transfer"):
        assert words in told
    assert [line.split()[0] for line in told.splitlines() if "_fc" in line] == list(LAYERS)


@pytest.fixture
def copied(run: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copied"))


def test_a_run_from_before_the_source_network_was_kept_twice(copied: Path, capsys: Capture) -> None:
    (copied / "checkpoints" / "source-before.safetensors").unlink()
    seal_run(copied)
    assert list(gap(capsys, str(copied), "--permutations", "1")["layers"]) == ["control", "after"]


def test_a_run_without_its_networks(copied: Path, capsys: Capture) -> None:
    shutil.rmtree(copied / "checkpoints")
    seal_run(copied)
    assert main(["gap", str(copied)]) == ExitCode.DATA
    assert "has no network 'after'" in capsys.readouterr().err


def test_a_network_that_is_gone(copied: Path, capsys: Capture) -> None:
    (copied / "checkpoints" / "source.safetensors").unlink()
    assert main(["gap", str(copied)]) == ExitCode.DATA
    assert "source.safetensors: no such file" in capsys.readouterr().err


def test_a_picture_of_a_run(run: str, tmp_path: Path, capsys: Capture) -> None:
    drawn = tmp_path / "gap.png"
    said = gap(capsys, run, "--permutations", "19", "--picture", str(drawn))
    with Image.open(drawn) as picture:
        assert picture.width > 500
    assert said["layers"]["after"]["image_fc6"]["by_chance"] > 0
    assert main(["gap", run, "--picture", "gap.txt"]) == ExitCode.USAGE
    assert "gap.txt: the suffix is none of .png, .svg, .pdf" in capsys.readouterr().err


PLAIN = ("--encoder", "vgg19", "--encoder-opt", "weights=none", "--encoder-opt", "size=32")


def test_two_data_sets(run: str, trained: Path, tmp_path: Path, capsys: Capture) -> None:
    source, target = str(trained / "source"), str(trained / "target")
    arguments = ("--permutations", "19", *PLAIN)
    said = gap(capsys, source, target, *arguments, "--picture", str(tmp_path / "gap.svg"))
    (one,) = said["gaps"]
    assert (one["of"], one["dim"]) == ("image", 512)
    assert one["p_value"] >= 0.05
    assert len(set(one["denser_at"])) == 5
    assert (tmp_path / "gap.svg").read_text().startswith("<?xml")
    same = gap(capsys, source, source, *arguments)["gaps"][0]
    assert same["p_value"] == 1, "nothing lies between a data set and itself"
    assert_same(same["mmd"], 0.0, terms=2 * same["first"], scale=1)


def test_features_in_files(tmp_path: Path, run: str, capsys: Capture) -> None:
    generator = np.random.default_rng(0)
    near, far = generator.normal(size=(40, 8)), generator.normal(size=(30, 8))
    far[10:] += 2
    np.savez(tmp_path / "near.npz", image=near, text=near)
    np.savez(tmp_path / "far.npz", image=far, text=near[:20])
    image, text = gap(capsys, str(tmp_path / "near.npz"), str(tmp_path / "far.npz"), "--permutations", "99")["gaps"]
    assert (image["of"], image["first"], image["second"], image["p_value"]) == ("image", 40, 30, 0.01)
    expected = mk_mmd(torch.from_numpy(near), torch.from_numpy(far))
    assert_same(image["mmd"], expected, terms=8, scale=1, dtype=torch.float32)  # what features are kept in
    assert image["mmd"] > image["by_chance"]
    assert {int(item) for item in image["denser_at"]} <= set(range(10, 30)), "the others lie where the first lie"
    assert (text["of"], text["p_value"]) == ("text", pytest.approx(1, abs=0.5))
    assert main(["gap", str(tmp_path / "near.npz"), str(tmp_path / "far.npz"), "--permutations", "9"]) == 0
    assert "40 + 30" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["one.npz", "."], "one.npz holds features, and . does not"),
        (["one.npz", "wide.npz"], "wide.npz: rows of 9 values, and one.npz has rows of 8"),
        (["one.npz", "one.npz", "--encoder", "vgg19"], "one.npz holds features already: leave out the encoder"),
        (["sample-source", "sample-target"], "say what makes features"),
        (["sample-source", "nowhere", "--text-encoder", "mean-vectors"], "nowhere"),
        (["one.npz", "one.npz", "--statistics", "batch"], "--statistics goes with a run"),
        (["runs/x", "--encoder", "vgg19"], "--encoder goes with two data sets"),
        (["sample-source", "sample-target", "--encoder-opt", "size=32"], "--encoder-opt goes with --encoder"),
    ],
)
def test_what_cannot_be_compared(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("one.npz", rows=np.zeros((3, 8)))
    np.savez("wide.npz", rows=np.zeros((3, 9)))
    assert main(["gap", *arguments]) in (ExitCode.USAGE, ExitCode.DATA)
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_no_run(run: str, capsys: Capture) -> None:
    assert main(["gap", "runs/nothing"]) == ExitCode.DATA
    assert "runs/nothing: no such run" in capsys.readouterr().err


def test_a_source_that_was_moved(run: str, trained: Path, tmp_path: Path, capsys: Capture) -> None:
    moved = shutil.copytree(trained / "source", tmp_path / "moved")
    arguments = (run, "--permutations", "1")
    assert gap(capsys, *arguments, "--source", str(moved)) == gap(capsys, *arguments)
    assert main(["gap", run, "--source", str(tmp_path / "nowhere")]) == ExitCode.DATA
    assert "nowhere" in capsys.readouterr().err
