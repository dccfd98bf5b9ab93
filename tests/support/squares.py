"""The small runs that tests of commands read and harm: trained for real, by the command, on a handful of pictures.

The fixtures are for all tests: tests/conftest.py names this module a plugin.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

from dckt_cli.main import main

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Capture = pytest.CaptureFixture[str]
Train = Callable[..., int]

ENCODER = ["--encoder", "vgg19", "--encoder-opt", "weights=none", "--encoder-opt", "size=32"]
SMALL_TEXTS = ["--text-encoder-opt", "dim=16", "--text-encoder-opt", "vector_size=16"]
CHECKPOINTS = ["after", "before", "control", "source", "source-before", "space"]

SOURCE = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128)}
TARGET = {"red": (255, 0, 0), "green": (0, 160, 0)}
SIZES = {"train": 5, "val": 3, "test": 4}

SETTINGS = {
    "network.media_width": 16,
    "network.common_width": 16,
    "pretrain.batch": 8,
    "pretrain.source_updates": 5,
    "pretrain.target_updates": 20,
    "transfer.batch": 8,
    "transfer.iterations": 2,
    "transfer.updates": 5,
}


def write_squares(folder: Path, colours: Mapping[str, tuple[int, int, int]], sizes: Mapping[str, int]) -> Path:
    """A data set of coloured squares with a mark, a little bluer in each split, and sentences that name the colour and
    number the mark."""
    folder.mkdir(parents=True)
    rows = []
    for place, (split, count) in enumerate(sizes.items()):
        for name, colour in colours.items():
            for number in range(count):
                picture = Image.new("RGB", (32, 32), colour)
                mark = (number * 20, 90, 10 + 5 * place)
                ImageDraw.Draw(picture).rectangle([number, number, number + 6, number + 9], fill=mark)
                key = f"{name}-{split}-{number}"
                picture.save(folder / f"{key}.png")
                text = f"a {name} square with mark number {number}"
                rows.append({"id": key, "image": f"{key}.png", "text": text, "label": name, "split": split})
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return folder


def flags(**changes: Any) -> list[str]:
    """The tiny run's flags; `changes` are settings with `__` for the dot."""
    settings = SETTINGS | {key.replace("__", "."): value for key, value in changes.items()}
    return ["--preset", "paper", *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def edit(folder: Path, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Path:
    manifest = folder / "pairs.jsonl"
    rows = change([json.loads(line) for line in manifest.read_text().splitlines()])
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def weights(run: Path) -> dict[str, bytes]:
    return {name: (run / "checkpoints" / f"{name}.safetensors").read_bytes() for name in CHECKPOINTS}


def error(capsys: Capture) -> str:
    """The one line that begins with `dckt: error:`, which is the last."""
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("dckt: error:")] == lines[-1:], lines
    return lines[-1]


@pytest.fixture(scope="session")
def drawn_once() -> Iterator[None]:
    """VGG19's random weights are drawn once for each seed: 80 MB, and half of the time that most commands take.

    Who is given them shares their memory until one writes to it.
    """
    import torch
    from torch import nn

    from dckt_plugins.encoders import vgg19

    draw = vgg19.draw_weights
    kept: dict[tuple[int, int], list[Tensor]] = {}

    def drawn(layers: list[nn.Module], generator: torch.Generator) -> None:
        key = generator.initial_seed(), len(layers)
        own = [(layer, name) for layer in layers for name, _ in layer.named_parameters(recurse=False)]
        if key not in kept:
            draw(layers, generator)
            kept[key] = [getattr(layer, name).detach() for layer, name in own]
        for (layer, name), values in zip(own, kept[key], strict=True):
            setattr(layer, name, nn.Parameter(torch._lazy_clone(values)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg19, "draw_weights", drawn)
        yield


@pytest.fixture(scope="session")
def trained(drawn_once: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `target`, `cache` and `runs/squares`."""
    home = tmp_path_factory.mktemp("trained")
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    flags = ["--encoder-opt", "weights=none", "--encoder-opt", "size=32", "--device", "cpu", "--quiet"]
    flags += [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(home / "cache"))
        patch.chdir(home)
        assert (
            main(
                ["train", "--preset", "paper", "--source", "source", "--target", "target", "--name", "squares", *flags]
            )
            == 0
        )
    return home


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run's path, as typed in the folder that it was trained in."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(trained)
    return "runs/squares"


@pytest.fixture(scope="session")
def data(drawn_once: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `source`, `target`, and a cache that all trainings of `train` share."""
    home = tmp_path_factory.mktemp("data")
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    return home


@pytest.fixture
def train(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`train("--seed", "3", name="a", transfer__lr=0.1)`: the tiny run; its folder is `runs/a` of the current one."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(data / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(
        *arguments: str, name: str = "a", source: Path | None = None, target: Path | None = None, **sets: Any
    ) -> int:
        where = ["--source", str(source or data / "source"), "--target", str(target or data / "target")]
        texts = [] if "--text-encoder" in arguments or "--preset" in arguments else SMALL_TEXTS
        return main(["train", *where, "--name", name, "--device", "cpu", *ENCODER, *texts, *flags(**sets), *arguments])

    return run


@pytest.fixture
def target(data: Path, tmp_path: Path) -> Path:
    """A copy of the target to spoil."""
    return Path(shutil.copytree(data / "target", tmp_path / "spoilt"))
