"""Makes what a release leaves on disk, tiny: `python -m tests.formats.make 1`. The folders stay in version control.

Run it once for each format, when the format is new; never again for an old one.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from dckt_cli.main import main as dckt
from dckt_core.data.feature_cache import write_segment
from dckt_core.engine.snapshot import Snapshot
from dckt_core.runs.model import load
from dckt_core.runs.seal import seal_run
from tests.support.squares import write_squares
from tests.support.trainings import SNAPSHOT, STOPPED_AFTER, ending, trainer

HERE = Path(__file__).parent
COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0)}
SIZES = {"train": 2, "val": 1, "test": 2}
TEXTS = ["a red square with mark number 1", "a green square"]
TINY: dict[str, Any] = {
    "network.media_width": 2,
    "network.common_width": 2,
    "pretrain.batch": 2,
    "pretrain.source_updates": 2,
    "pretrain.target_updates": 2,
    "transfer.batch": 2,
    "transfer.iterations": 1,
    "transfer.updates": 2,
    "transfer.control": False,
}


def run_folder(folder: Path) -> None:
    """A finished run of which only what `dckt search` needs is kept, and what its texts are in the common space."""
    with tempfile.TemporaryDirectory() as home:
        write_squares(Path(home, "data"), COLOURS, SIZES)
        flags = ["--preset", "paper"] + [
            word for key, value in TINY.items() for word in ("--set", f"{key}={str(value).lower()}")
        ]
        flags += ["--encoder-opt", "weights=none", "--encoder-opt", "size=32", "--device", "cpu", "--quiet"]
        flags += ["--text-encoder-opt", "vector_size=2", "--text-encoder-opt", "dim=4"]
        data = str(Path(home, "data"))
        assert dckt(["train", "--source", data, "--target", data, "--runs-dir", home, "--name", "run", *flags]) == 0
        shutil.copytree(Path(home, "run"), folder)
        config = folder / "config.toml"
        config.write_text(config.read_text().replace(data, "data"))
    keep = {"config.toml", "model.json", "summary.json", "after.safetensors", "source.safetensors", "space.safetensors"}
    for file in [file for file in folder.rglob("*") if file.is_file() and file.name not in keep]:
        file.unlink()
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({"preset": summary["preset"], "seed": summary["seed"]}) + "\n")
    seal_run(folder)
    representations = load(folder).encode_texts(TEXTS).tolist()
    (folder / "expected.json").write_text(json.dumps(dict(zip(TEXTS, representations, strict=True)), indent=2) + "\n")


def snapshot(folder: Path) -> None:
    """A stopped training, and the scores with which it ends once it goes on."""
    made, kept, _ = trainer(stop_after=STOPPED_AFTER, **SNAPSHOT)
    try:
        made.run()
    except Exception:
        kept[-1].save(folder / "000001.state.safetensors")
    again, *_ = trainer(**SNAPSHOT)
    again.restore(kept[-1])
    score = ending(again)["after"].score
    (folder / "expected-score.json").write_text(json.dumps([score.image_to_text, score.text_to_image]) + "\n")


def main(number: int) -> None:
    folder = HERE / f"format-{number}"
    folder.mkdir()
    run_folder(folder / "run")
    snapshot(folder)
    Snapshot({"rows": torch.arange(3)}, {"at": {"phase": "transfer"}}).save(folder / "small.state.safetensors")
    write_segment(
        folder / "features.safetensors", [bytes([number]) * 32 for number in range(3)], torch.arange(6.0).reshape(3, 2)
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
