"""What `CommonSpace` makes of arrays is what `dckt train` makes of the same features in files, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dckt_core
from dckt_cli.main import main
from dckt_core import CommonSpace
from tests.support.rows import LABELS, NAMES, SOURCE, TEST, TINY, TRAIN, VALIDATION, Folder, alike, flags

FEW: list[Any] = [label if row % 4 == 0 else None for row, label in enumerate(TRAIN.labels)]
NONE = [None] * len(TRAIN)
HALF = len(TRAIN) // 2


def nothing(folder: Folder) -> dict[str, Any]:
    return {}


def unpaired(folder: Folder) -> dict[str, Any]:
    folder.add("train", TRAIN.images[:HALF], None)
    folder.add("train", None, TRAIN.texts[HALF:])
    return {"unpaired_images": TRAIN.images[:HALF], "unpaired_texts": TRAIN.texts[HALF:]}


def pairs(folder: Folder) -> dict[str, Any]:
    folder.add("train", TRAIN.images, TRAIN.texts)
    return {"images": TRAIN.images, "texts": TRAIN.texts}


def pairs_and_names(folder: Folder) -> dict[str, Any]:
    (folder.path / "classes.toml").write_text("".join(f'{label} = "{label}"\n' for label in LABELS))
    for label, row in zip(LABELS, NAMES, strict=True):
        folder.name(label, row)
    return pairs(folder) | {"class_names": dict(zip(LABELS, NAMES, strict=True))}


def few_labels(folder: Folder) -> dict[str, Any]:
    folder.add("train", TRAIN.images, TRAIN.texts, FEW)
    return {"images": TRAIN.images, "texts": TRAIN.texts, "labels": FEW}


def all_labels(folder: Folder) -> dict[str, Any]:
    folder.add("train", TRAIN.images, TRAIN.texts, list(TRAIN.labels))
    return {"images": TRAIN.images, "texts": TRAIN.texts, "labels": TRAIN.labels}


def with_validation(folder: Folder) -> dict[str, Any]:
    folder.add("val", VALIDATION.images, VALIDATION.texts, list(VALIDATION.labels))
    return all_labels(folder) | {"validation": tuple(VALIDATION)}


def validation_without_labels(folder: Folder) -> dict[str, Any]:
    folder.add("val", VALIDATION.images, VALIDATION.texts)
    return pairs(folder) | {"validation": (VALIDATION.images, VALIDATION.texts, None)}


RUNGS = [nothing, unpaired, pairs, pairs_and_names, few_labels, all_labels, with_validation, validation_without_labels]


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.__name__.replace("_", " "))
def test_the_same_bits_as_the_command_line(
    rung: Callable[[Folder], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    source, target = Folder(tmp_path / "source"), Folder(tmp_path / "target")
    source.add("train", SOURCE.images, SOURCE.texts, list(SOURCE.labels))
    arguments = rung(target)
    target.add("test", TEST.images, TEST.texts, list(TEST.labels) if arguments.get("labels") is not None else None)
    source.write()
    target.write()
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    wanted = [*flags(source.path, target.path), "--seed", "3", "--device", "cpu", "--name", "run", "--quiet"]
    assert main(["train", *wanted, *settings]) == 0
    run = dckt_core.load("runs/run")
    test = run.target().split("test")

    space = CommonSpace(random_state=3, settings=TINY, device="cpu").fit(source=tuple(SOURCE), **arguments)

    assert space.parts_ == run.space.description.weights  # type: ignore[attr-defined]
    images, texts = space.transform_images(TEST.images), space.transform_texts(TEST.texts)
    assert np.array_equal(images, run.encode_images([pair.image_item for pair in test]).numpy())
    assert np.array_equal(texts, run.encode_texts([pair.text_item for pair in test]).numpy())
    assert [str(label) for label in space.classes_] == list(run.classes)
    if rung is with_validation:
        assert "before" in space.summary_["validation"], "the method's networks are trained too"


def test_the_same_bits_where_both_media_are_of_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCKT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    helps, train, test = alike(("hen", "pig", "rat"), 12, 1), alike(LABELS, 12, 2), alike(LABELS, 8, 3)
    source, target = Folder(tmp_path / "source"), Folder(tmp_path / "target")
    source.add("train", helps.images, helps.texts, list(helps.labels))
    target.add("train", train.images, train.texts, list(train.labels))
    target.add("test", test.images, test.texts, list(test.labels))
    source.write()
    target.write()
    wanted = [*flags(source.path, target.path, space="mine"), "--part", "cache", "--seed", "3", "--device", "cpu"]
    assert main(["train", *wanted, "--name", "run", "--quiet"]) == 0
    run = dckt_core.load("runs/run")

    settings = {"space.parts.cache.weight": 1}
    space = CommonSpace(random_state=3, same_space=True, settings=settings, device="cpu")
    space.fit(*train, source=tuple(helps))

    assert {"zero-shot", "cache"} <= space.parts_.keys()
    assert space.parts_ == run.space.description.weights  # type: ignore[attr-defined]
    pairs = run.target().split("test")
    placed = space.transform_images(test.images), space.transform_texts(test.texts)
    assert np.array_equal(placed[0], run.encode_images([pair.image_item for pair in pairs]).numpy())
    assert np.array_equal(placed[1], run.encode_texts([pair.text_item for pair in pairs]).numpy())
