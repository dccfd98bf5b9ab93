"""A run for the commands that read one: trained for real, by the command, on a handful of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from dckt_cli.main import main

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
    """A data set of coloured squares with a mark, and sentences that name the colour and number the mark."""
    folder.mkdir(parents=True)
    rows = []
    for split, count in sizes.items():
        for name, colour in colours.items():
            for number in range(count):
                picture = Image.new("RGB", (32, 32), colour)
                ImageDraw.Draw(picture).rectangle([number, number, number + 6, number + 9], fill=(number * 20, 90, 10))
                key = f"{name}-{split}-{number}"
                picture.save(folder / f"{key}.png")
                text = f"a {name} square with mark number {number}"
                rows.append({"id": key, "image": f"{key}.png", "text": text, "label": name, "split": split})
    (folder / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `target`, `cache` and `runs/squares`."""
    home = tmp_path_factory.mktemp("trained")
    write_squares(home / "source", SOURCE, SIZES)
    write_squares(home / "target", TARGET, SIZES)
    flags = ["--encoder-opt", "weights=none", "--encoder-opt", "size=32", "--device", "cpu", "--quiet"]
    flags += [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCKT_CACHE_DIR", str(home / "cache"))
        patch.chdir(home)
        assert main(["train", "--source", "source", "--target", "target", "--name", "squares", *flags]) == 0
    return home


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run's path, as typed in the folder that it was trained in."""
    monkeypatch.setenv("DCKT_CACHE_DIR", str(trained / "cache"))
    monkeypatch.chdir(trained)
    return "runs/squares"
