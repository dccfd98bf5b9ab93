"""What ships in the box held to the contract that strangers' plugins are held to, as the registry lists it.

Encoders, which need small settings of their own: encoders/test_contract.py.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np
import pytest
from PIL import Image

from dckt_core.base.errors import UsageError
from dckt_core.contract.discovery import HOOKS, Registered, discover
from dckt_core.contract.options import parse_options
from dckt_core.testing import CHECKS
from tests.support import folders, layouts
from tests.support.needs import absent, part

REGISTRY = discover(plugins=False)
KINDS = [spec.kind for spec in HOOKS.values()]


def write_jsonl(folder: Path) -> Path:
    rows = []
    for split in ("train", "val", "test"):
        for label, colour in {"red": (255, 0, 0), "blue": (0, 0, 255)}.items():
            for number in range(2):
                image = f"{split}-{label}-{number}.png"
                Image.new("RGB", (6, 5), colour).save(folder / image)
                rows.append({"image": image, "text": f"{label} {number}", "label": label, "split": split})
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder


def write_features(folder: Path) -> Path:
    labels = np.tile([0, 1], 6)
    rows = np.random.default_rng(0).normal(size=(12, 5))
    splits = np.repeat(["train", "val", "test"], 4)
    np.savez(folder / "set.npz", images=rows, texts=rows[:, :3], labels=labels, splits=splits)
    return folder / "set.npz"


LOCATIONS: dict[str, Callable[[Path], Path]] = {
    "jsonl": write_jsonl,
    "image-folder-csv": folders.write_image_folder_csv,
    "features": write_features,
    "wikipedia": folders.write_wikipedia,
    "pascal-sentences": folders.write_pascal_sentences,
    "nus-wide-10k": folders.write_nus_wide,
    "xmedia": folders.write_xmedia,
    **layouts.WRITERS,
}
"""A small data set for each layout; what is made on the spot needs none."""


NEEDED: dict[str, dict[str, Any]] = {
    "transport": {"related": -1000.0},
    "media-mmd": {"related": -1000.0, "updates": 5},
    **layouts.NEEDED,
}
"""Options without which a plugin would find that made-up features say too little, or a layout is no data set."""


def choices(spec: Any) -> Iterator[dict[str, Any]]:
    """No option, and then one option at a time at each value that it can be switched to."""
    yield {}
    defaults = spec.options()
    for name, hint in typing.get_type_hints(spec.options, include_extras=True).items():
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        values = (False, True) if inner is bool else get_args(inner) if get_origin(inner) is Literal else ()
        yield from ({name: value} for value in values if value != getattr(defaults, name))


CASES = [
    pytest.param(entry, chosen, id=" ".join([kind, entry.name, *(f"{key}={value}" for key, value in chosen.items())]))
    for kind in KINDS
    for entry in REGISTRY.all(kind)
    for chosen in choices(entry.spec)
    if kind != "encoder"
]


def test_every_kind_has_its_check() -> None:
    assert list(CHECKS) == KINDS


@pytest.mark.parametrize(("entry", "chosen"), CASES)
def test_the_contract(entry: Registered, chosen: dict[str, Any], tmp_path: Path) -> None:
    where: dict[str, Any] = {}
    if entry.spec.name == "hf-dataset":
        part("datasets")
    if entry.spec.name in LOCATIONS:
        where["location"] = LOCATIONS[entry.spec.name](tmp_path)
    options = parse_options(entry.spec, NEEDED.get(entry.spec.name, {}) | chosen, where=entry.name)
    try:
        CHECKS[entry.kind](entry.spec, options, **where)
    except UsageError as error:
        if "is not installed" in str(error):
            absent(entry.spec.name)
        raise
