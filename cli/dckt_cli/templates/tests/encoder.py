"""The contract, and what this encoder promises."""

from pathlib import Path

import my_plugin
import torch
from PIL import Image

from dckt_core import EncoderContext, ImageItem
from dckt_core.testing import assert_encoder_ok, installed

(SPEC,) = my_plugin.dckt_encoders()


def test_the_contract() -> None:
    assert_encoder_ok(SPEC)
    assert_encoder_ok(SPEC, my_plugin.Options(side=3))


def test_a_red_picture_is_red(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), (255, 0, 0)).save(tmp_path / "red.png")
    encoder = SPEC.build(my_plugin.Options(side=2), EncoderContext(seed=0, cache_dir=tmp_path))
    features = encoder.module(encoder.prepare([ImageItem("red", tmp_path / "red.png")]))
    assert torch.equal(features, torch.tensor([[1.0, 0.0, 0.0] * 4]))


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("encoder", "my-plugin") == SPEC
