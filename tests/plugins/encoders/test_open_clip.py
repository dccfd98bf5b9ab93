"""What open_clip alone has: tags of weights, their colours and activations, and a text half that is left out."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from safetensors.torch import save_file

from dckt_core.base.errors import DataError, UsageError
from dckt_plugins.encoders.catalogue import OpenClipOptions
from dckt_plugins.extras import quiet_root_logger
from tests.support.encoding import features, seeded
from tests.support.needs import part

open_clip = part("open_clip")
FROM_DOWNLOAD = "open_clip.factory.download_pretrained"
TINY = "dckt-tiny"


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """A model of open_clip's own making that is quickly built, with two tags of published weights."""
    vision = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32}
    text = {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    file = tmp_path_factory.mktemp("config") / f"{TINY}.json"
    file.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(file)
    published = {"url": "", "hf_hub": "nobody/nothing/", "mean": (0.5,) * 3, "std": (0.25,) * 3}
    tags = {"plain": published, "quick": published | {"quick_gelu": True}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(open_clip.pretrained._PRETRAINED, TINY, tags)
        yield


@pytest.fixture(scope="module")
def network(tiny):
    with quiet_root_logger():
        return seeded(open_clip.create_model, TINY, pretrained=None)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "clip.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return path


def test_the_image_half_alone_is_enough_of_a_file(build, pictures, network, file, tmp_path):
    save_file(network.visual.state_dict(), tmp_path / "half.safetensors")
    half = build("open-clip", model=TINY, weights=str(tmp_path / "half.safetensors"))
    whole = build("open-clip", model=TINY, weights=str(file))
    assert half.fingerprint == whole.fingerprint
    assert torch.equal(features(half, pictures), features(whole, pictures))
    assert not any("text" in name or "token" in name for name in half.module.state_dict())


def test_published_weights_come_with_their_activation(build, monkeypatch, network, tmp_path):
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    asked = []

    def fetch(published, **kwargs):
        asked.append(published)
        return str(tmp_path / "w.safetensors")

    monkeypatch.setattr(FROM_DOWNLOAD, fetch)
    for tag, activation in (("plain", "GELU"), ("quick", "QuickGELU")):
        half = build("open-clip", model=TINY, weights=tag).module.network
        assert asked.pop() == open_clip.get_pretrained_cfg(TINY, tag)
        assert torch.equal(half.proj, network.visual.proj)
        assert [type(block.mlp.gelu).__name__ for block in half.transformer.resblocks] == [activation] * 2


def test_the_default_is_published():
    options = OpenClipOptions()
    assert options.weights in open_clip.list_pretrained_tags_by_model(options.model)


def test_colours_are_those_of_the_published_weights(build, monkeypatch):
    """A file does not say them; a model that nobody published has open_clip's own."""
    normalized = build("open-clip", model=TINY, weights="none").module.normalized
    assert normalized.mean.flatten().tolist() == [0.5] * 3
    assert normalized.std.flatten().tolist() == [0.25] * 3
    monkeypatch.delitem(open_clip.pretrained._PRETRAINED, TINY)
    mean = build("open-clip", model=TINY, weights="none").module.normalized.mean
    assert mean.flatten().tolist() == pytest.approx(open_clip.OPENAI_DATASET_MEAN)


def test_a_model_that_gives_more_than_the_embedding(build, pictures):
    encoder = build("open-clip", model="coca_ViT-B-32", weights="none", size=64)
    assert features(encoder, pictures).shape == (3, 512) == (3, encoder.dim)


def test_typos_are_suggested(build):
    with pytest.raises(UsageError, match="open_clip has no model 'ViT-B32': did you mean 'ViT-B-32'"):
        build("open-clip", model="ViT-B32")
    message = "'laion2b' is neither a file nor a tag of open_clip's ViT-B-32: did you mean 'laion2b_e16'.*none"
    with pytest.raises(UsageError, match=message):
        build("open-clip", weights="laion2b")


def test_a_text_half_that_must_be_asked_for(build, monkeypatch):
    """The shape of some models' text half is published elsewhere, even where no weights are wanted."""

    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    part("transformers")
    monkeypatch.setattr("open_clip.hf_model.AutoConfig.from_pretrained", refuse)
    with pytest.raises(UsageError, match=r"^open-clip/roberta-ViT-B-32 cannot be built: no route to host$"):
        build("open-clip", model="roberta-ViT-B-32", weights="none", size=32)


def test_files_that_do_not_fit(build, file, tmp_path, network):
    with pytest.raises(DataError, match=r"clip.pt: not ViT-S-32-alt's image half's weights: '.*' is"):
        build("open-clip", model="ViT-S-32-alt", weights=str(file))
    path = tmp_path / "nan.pt"
    torch.save(network.state_dict() | {"visual.proj": torch.full_like(network.visual.proj, torch.nan)}, path)
    with pytest.raises(DataError, match=r"nan.pt: 'proj' holds numbers that are not finite"):
        build("open-clip", model=TINY, weights=str(path))


def test_it_prints_nothing_and_leaves_the_root_logger_alone(build, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    build("open-clip", model=TINY, weights="none", size=64)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == []
