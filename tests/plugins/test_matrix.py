"""Every encoder, discrepancy and sampler of the box that needs no extra trains with every other, on the sample data.

All of them are listed by the registry, so a new one is in here at once. By default a set of runs in which every two
plugins of different kinds meet; `make test-slow` trains the whole product.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dckt_core.base.rng import generator_for
from dckt_core.contract.discovery import discover
from dckt_core.contract.names import LAYERS
from dckt_core.contract.pairs import SPLITS, Pair, PairSet
from dckt_core.contract.protocols import DatasetContext
from dckt_core.data.context import Context
from dckt_core.runs.model import load
from dckt_core.runs.setup import resolve_config
from dckt_core.runs.train import train

REGISTRY = discover(plugins=False)
QUICK: dict[str, Any] = {
    "network": {"media_width": 16, "common_width": 16},
    "pretrain": {"batch": 12, "source_updates": 3, "target_updates": 3},
    "transfer": {"batch": 12, "iterations": 2, "updates": 2},
    "device": "cpu",
}
PER_CLASS = {"train": 2, "val": 1, "test": 1}
"""Pairs of the sample that are taken of each class."""

Run = tuple[str, str, str, str]
"""Image encoder, text encoder, discrepancy, sampler."""


def names(kind: str, modality: str | None = None) -> list[str]:
    """The built-ins of a kind that need no extra, which their summary would name."""
    specs = [entry.spec for entry in REGISTRY.all(kind) if "(extra: " not in entry.spec.summary]
    return [spec.name for spec in specs if modality is None or spec.modality == modality]


FACTORS = (names("encoder", "image"), names("encoder", "text"), names("discrepancy"), names("sampler"))
EVERY_RUN: list[Run] = list(product(*FACTORS))


def pairs_of(run: Run) -> set[tuple[Any, ...]]:
    """What meets in a run, two by two."""
    return set(combinations(enumerate(run), 2))


def covering(runs: Sequence[Run]) -> list[Run]:
    """Some of the runs, in which all that meets in any of them meets: each time the one with most that is new."""
    missing = set().union(*map(pairs_of, runs))
    chosen = []
    while missing:
        best = max(runs, key=lambda run: len(pairs_of(run) & missing))
        chosen.append(best)
        missing -= pairs_of(best)
    return chosen


@dataclass(frozen=True)
class Sample:
    """A part of the sample data on disk, a cache for all runs, and what encoders need to be quick."""

    source: Path
    target: Path
    cache: Path
    settings: dict[str, dict[str, Any]]


def part_of(pair_set: PairSet, folder: Path) -> list[Pair]:
    """Writes a few pairs of each class and split as a data set of its own."""
    folder.mkdir()
    taken = []
    for split in SPLITS:
        for label in pair_set.classes:
            members = [pair for pair in pair_set.split(split) if pair.label == label]
            taken += members[: PER_CLASS[split]]
    rows = []
    for number, pair in enumerate(taken):
        image = f"{number}{pair.image.suffix}"
        shutil.copy(pair.image, folder / image)
        rows.append({"id": f"{folder.name}-{number}", "image": image, "text": pair.text})
        rows[-1] |= {"label": pair.label, "split": pair.split}
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return [Pair(row["id"], folder / row["image"], row["text"], row["label"], row["split"]) for row in rows]


@pytest.fixture(scope="module")
def sample(sample_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    home = tmp_path_factory.mktemp("matrix")
    context = DatasetContext(cache_dir=sample_cache)
    parts = {}
    for role in ("source", "target"):
        spec = REGISTRY.find("dataset", f"sample-{role}").spec
        parts[role] = part_of(spec.load(None, spec.options(), context), home / role)
    pairs = [pair for part in parts.values() for pair in part]
    generator = generator_for(0, "matrix")
    for medium in ("image", "text"):
        rows = torch.randn(len(pairs), 6, generator=generator).numpy()
        np.savez(home / f"{medium}.npz", features=rows, ids=np.array([pair.id for pair in pairs]))
    words = sorted({word for pair in pairs for word in pair.text.lower().split()})
    vectors = torch.randn(len(words), 5, generator=generator).tolist()
    lines = [" ".join([word, *(f"{value:.4f}" for value in row)]) for word, row in zip(words, vectors, strict=True)]
    (home / "words.txt").write_text("\n".join([f"{len(words)} 5", *lines]) + "\n")
    learnt = {"vectors": str(home / "words.txt")}
    settings: dict[str, dict[str, Any]] = {
        "vgg19": {"weights": "none", "size": 32},
        "torchvision": {"weights": "none", "size": 32, "model": "resnet18"},
        "wordcnn": learnt | {"dim": 8, "max_words": 20},
        "mean-vectors": learnt,
    }
    for medium in ("image", "text"):
        file = str(home / f"{medium}.npz")
        settings[f"precomputed-{medium}"] = {"source": file, "target": file}
    return Sample(home / "source", home / "target", home / "cache", settings)


def check(run: Run, sample: Sample, folder: Path) -> None:
    """Trains, and looks whether all four had their say; then loads what was trained and encodes with it."""
    image, text, discrepancy, sampler = run
    flags = QUICK | {
        "source": {"location": str(sample.source)},
        "target": {"location": str(sample.target)},
        "encoder": {"name": image, **sample.settings.get(image, {})},
        "text_encoder": {"name": text, **sample.settings.get(text, {})},
        "discrepancy": {"name": discrepancy},
        "sampler": {"name": sampler},
    }
    config = resolve_config(REGISTRY, preset="paper", flags=flags)
    result = train(config, context=Context(REGISTRY, sample.cache), runs_dir=folder, name="run")
    for when in ("before", "after"):
        assert 0 < result.summary["test"]["map"][when]["mean"]["value"] <= 1

    with (result.run_dir / "metrics.csv").open(newline="") as file:
        values = {row["metric"]: float(row["value"]) for row in csv.DictReader(file)}
    assert {f"discrepancy_{name}" for name in LAYERS} <= values.keys()
    assert np.isfinite(list(values.values())).all()
    with (result.run_dir / "selection.csv").open(newline="") as file:
        marks = {(row["iteration"], row["kept"]) for row in csv.DictReader(file)}
    assert {("1", "1"), ("2", "1")} <= marks

    model = load(result.run_dir, registry=REGISTRY, cache_dir=sample.cache)
    shown = model.target().split("test")[:3]
    images = model.encode_images([pair.image_item for pair in shown])
    texts = model.encode_texts([pair.text_item for pair in shown])
    assert images.shape == texts.shape
    assert len(images) == len(shown)
    assert torch.isfinite(images).all() and torch.isfinite(texts).all()


def named(run: Run) -> str:
    return " ".join(run)


def test_the_box_is_in_it() -> None:
    """By name, so that a plugin which drops out of the registry, or is taken for one of an extra, is missed."""
    images, texts, discrepancies, samplers = (set(factor) for factor in FACTORS)
    assert images >= {"vgg19", "torchvision", "precomputed-image"}
    assert texts >= {"wordcnn", "mean-vectors", "precomputed-text"}
    assert discrepancies >= {"mmd", "coral", "jmmd", "adversarial"}
    assert samplers >= {"ap-progressive", "all", "uniform", "self-paced", "class-progressive"}


def test_all_that_can_meet_meets() -> None:
    chosen = covering(EVERY_RUN)
    assert set().union(*map(pairs_of, chosen)) == set().union(*map(pairs_of, EVERY_RUN))
    assert len(chosen) < len(EVERY_RUN) / 2


@pytest.mark.parametrize("run", covering(EVERY_RUN), ids=named)
def test_any_two_train_together(run: Run, sample: Sample, tmp_path: Path) -> None:
    check(run, sample, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("run", EVERY_RUN, ids=named)
def test_all_train_with_all(run: Run, sample: Sample, tmp_path: Path) -> None:
    check(run, sample, tmp_path)
