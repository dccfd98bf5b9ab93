from __future__ import annotations

import json
import logging
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.rng import seeded_construction
from dckt_core.data.features import compute_features
from dckt_plugins.encoders.catalogue import OpenClipOptions
from dckt_plugins.extras import quiet_root_logger

open_clip = pytest.importorskip("open_clip")
FROM_DOWNLOAD = "open_clip.factory.download_pretrained"
TINY = "dckt-tiny"


def features(encoder, items):
    return compute_features(encoder, items, device=torch.device("cpu"), batch=4)


def make(model=TINY, **options):
    """open_clip's own model, text half included, with weights of a seed."""
    with seeded_construction(1, "test"), quiet_root_logger():
        return open_clip.create_model(model, pretrained=None, **options).eval()


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
    return make()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "clip.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return path


def test_features_are_open_clips_image_embeddings(build, pictures, network, file):
    encoder = build("open-clip", model=TINY, weights=str(file))
    inputs = encoder.prepare(pictures)
    transform = open_clip.image_transform(64, is_train=False, mean=(0.5,) * 3, std=(0.25,) * 3)
    squares = [Image.fromarray(square.permute(1, 2, 0).numpy()) for square in inputs]
    with torch.no_grad():
        expected = network.encode_image(torch.stack([transform(square) for square in squares]))
    rows = features(encoder, pictures)
    assert rows.shape == (3, encoder.dim) == (3, 24)
    assert rows.std() > 0
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)


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
    assert build("open-clip", model=TINY, weights="none").module.normalized.mean.flatten().tolist() == [0.5] * 3
    monkeypatch.delitem(open_clip.pretrained._PRETRAINED, TINY)
    mean = build("open-clip", model=TINY, weights="none").module.normalized.mean
    assert mean.flatten().tolist() == pytest.approx(open_clip.OPENAI_DATASET_MEAN)


def test_a_model_that_gives_more_than_the_embedding(build, pictures):
    encoder = build("open-clip", model="coca_ViT-B-32", weights="none", size=64)
    assert features(encoder, pictures).shape == (3, 512) == (3, encoder.dim)


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr(FROM_DOWNLOAD, refuse)
    message = r"^open_clip's weights laion2b_s34b_b79k of ViT-B-32 cannot .*no route to host.*weights=FILE.*none"
    with pytest.raises(UsageError, match=message):
        build("open-clip")


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

    pytest.importorskip("transformers")
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


def test_random_weights_follow_the_seed(build, pictures):
    before = torch.random.get_rng_state()
    one, again, other = (build("open-clip", model=TINY, weights="none", seed=seed, size=64) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_it_can_be_trained_along(build, pictures):
    encoder = build("open-clip", model=TINY, weights="none", size=64, trainable=True)
    assert encoder.trainable
    encoder.module.train()(encoder.prepare(pictures)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.module.parameters())


def test_it_prints_nothing_and_leaves_the_root_logger_alone(build, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    build("open-clip", model=TINY, weights="none", size=64)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == []


def test_without_the_package_the_extra_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UsageError, match=r"^encoder 'open-clip' needs open_clip, .*: pip install 'dckt\[open-clip\]'$"):
        build("open-clip")
