"""What timm alone has: tags of weights, and pictures scaled as each model was trained."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dckt_core.base.errors import UsageError
from tests.support.encoding import features, seeded
from tests.support.needs import part

timm = part("timm")
FROM_DOWNLOAD = "timm.models._builder.load_state_dict_from_hf"
TINY = "test_resnet.r160_in1k"


def test_pictures_are_scaled_as_the_model_was_trained(build, pictures):
    bilinear, bicubic = (build("timm", model=model, weights="none") for model in (TINY, "test_vit.r160_in1k"))
    for encoder, how in ((bilinear, Image.Resampling.BILINEAR), (bicubic, Image.Resampling.BICUBIC)):
        expected = pictures[2].open().resize((160, 160), how)
        assert encoder.prepare(pictures[2:])[0].permute(1, 2, 0).numpy().tobytes() == expected.tobytes()


def test_pretrained_weights_are_the_default_and_equal_their_file(build, pictures, monkeypatch, tmp_path):
    state, file = seeded(timm.create_model, TINY, pretrained=False).state_dict(), tmp_path / "tiny.safetensors"
    save_file(state, file)
    monkeypatch.setattr(FROM_DOWNLOAD, lambda *args, **kwargs: dict(state))
    downloaded, read = build("timm", model=TINY), build("timm", model=TINY, weights=str(file))
    assert downloaded.fingerprint == read.fingerprint
    assert torch.equal(features(downloaded, pictures), features(read, pictures))


def test_a_model_without_published_weights(build):
    with pytest.raises(UsageError, match=r"timm publishes no weights of 'test_maxvit'; take .*weights=FILE"):
        build("timm", model="test_maxvit")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("test_resnt.r160_in1k", "test_resnet"), ("resnet50.a1_in1", "resnet50.a1_in1k")],
)
def test_a_model_is_suggested_with_its_tag(build, typed, meant):
    with pytest.raises(UsageError, match=f"^timm has no model '{typed}': did you mean '{meant}'\\?$"):
        build("timm", model=typed)
