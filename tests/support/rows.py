"""Two small domains as rows of features, and the same as data sets with files of features for the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IMAGE_DIM, TEXT_DIM = 8, 6
LABELS = ("cat", "cow", "dog")
"""Of the target."""

Floats = npt.NDArray[np.float32]
TINY = {
    "network.media_width": 16,
    "network.common_width": 12,
    "pretrain.batch": 8,
    "pretrain.source_updates": 30,
    "pretrain.target_updates": 30,
    "transfer.batch": 8,
    "transfer.iterations": 2,
    "transfer.updates": 5,
}
"""Settings with which the method's networks train in a moment."""


@dataclass(frozen=True)
class Rows:
    """Pairs whose classes are noisy points in feature space."""

    images: Floats
    texts: Floats
    labels: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Any:
        return iter((self.images, self.texts, self.labels))


def rows(labels: Sequence[str], per_class: int, seed: int) -> Rows:
    """Pairs of some classes, in a mixed order. A class lies at one place whatever the seed."""
    places = np.random.default_rng(7)
    centres = {label: places.normal(size=IMAGE_DIM + TEXT_DIM) for label in (*LABELS, "hen", "pig", "rat", "yak")}
    draws = np.random.default_rng(seed)
    shown = draws.permutation(np.repeat(np.array(labels), per_class))
    both = (
        np.stack([centres[str(label)] for label in shown]) + draws.normal(size=(len(shown), IMAGE_DIM + TEXT_DIM)) / 2
    )
    both = both.astype(np.float32)
    return Rows(both[:, :IMAGE_DIM].copy(), both[:, IMAGE_DIM:].copy(), shown)


SOURCE = rows(("hen", "pig", "rat", "yak"), 12, seed=1)
TRAIN, VALIDATION, TEST = rows(LABELS, 12, seed=2), rows(LABELS, 4, seed=3), rows(LABELS, 8, seed=4)
NAMES = np.stack([TRAIN.texts[TRAIN.labels == label].mean(axis=0) for label in LABELS])
"""Text features of the target's labels, in their order."""


def alike(labels: Sequence[str], per_class: int, seed: int) -> Rows:
    """Pairs as halves of one model would give them: both media see an item at one place, but for noise and a gap."""
    both, draws = rows(labels, per_class, seed), np.random.default_rng(seed + 100)
    images, texts = (
        both.images + draws.normal(size=both.images.shape).astype(np.float32) / 4 + np.eye(IMAGE_DIM)[medium]
        for medium in (0, 1)
    )
    return Rows(images.astype(np.float32), texts.astype(np.float32), both.labels)


class Folder:
    """A data set with features, written line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._lines: list[dict[str, str]] = []
        self._rows: dict[str, dict[str, Floats]] = {"image": {}, "text": {}}

    def add(
        self, split: str, images: Floats | None, texts: Floats | None, labels: Sequence[str | None] | None = None
    ) -> None:
        """Pairs, or items of one medium."""
        for row in range(len(images if images is not None else texts if texts is not None else ())):
            key = f"{len(self._lines):04}"
            line = {"id": key, "split": split}
            if images is not None:
                line["image"] = f"{key}.png"
                (self.path / line["image"]).write_text(key)  # never opened
                self._rows["image"][key] = images[row]
            if texts is not None:
                line["text"] = f"text {key}"
                self._rows["text"][key] = texts[row]
            label = None if labels is None else labels[row]
            self._lines.append(line if label is None else line | {"label": str(label)})

    def name(self, label: str, features: Floats) -> None:
        """Text features of a label in words."""
        self._rows["text"][f"name:{label}"] = features

    def write(self) -> None:
        """Writes the files."""
        (self.path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in self._lines))
        for medium, found in self._rows.items():
            np.savez(self.path / f"{medium}.npz", features=np.stack(list(found.values())), ids=list(found))


def flags(source: Path, target: Path, *, space: str | None = None) -> list[str]:
    """Those of `dckt train` for the files of two folders, whose rows are of one space where it has a name."""
    said = ["--source", str(source), "--target", str(target)]
    for flag, medium in (("encoder", "image"), ("text-encoder", "text")):
        said += [f"--{flag}", f"precomputed-{medium}"]
        for role, folder in (("source", source), ("target", target)):
            said += [f"--{flag}-opt", f"{role}={folder / medium}.npz"]
        said += [f"--{flag}-opt", f"space={space}"] if space else []
    return said
