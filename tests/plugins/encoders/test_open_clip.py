from __future__ import annotations

import logging
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dckt_core.data.features import compute_features
from dckt_core.errors import DataError, UsageError
from dckt_core.rng import seeded_construction
from dckt_plugins.encoders.extras import quiet_root_logger

open_clip = pytest.importorskip("open_clip")
FROM_DOWNLOAD = "open_clip.factory.download_pretrained"
SMALL = "ViT-S-32-alt"


def features(encoder, items):
    return compute_features(encoder, items, device=torch.device("cpu"), batch=4)


def make(model=SMALL, **options):
    """open_clip's own model, text half included, with weights of a seed."""
    with seeded_construction(1, "test"), quiet_root_logger():
        return open_clip.create_model(model, pretrained=None, **options).eval()


@pytest.fixture(scope="module")
def network():
    return make()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "clip.pt"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    return path


def test_features_are_open_clips_image_embeddings(build, pictures, network, file):
    encoder = build("open-clip", model=SMALL, weights=str(file))
    inputs = encoder.prepare(pictures)
    transform = open_clip.image_transform(224, is_train=False, **colours(network))
    squares = [Image.fromarray(square.permute(1, 2, 0).numpy()) for square in inputs]
    with torch.no_grad():
        expected = network.encode_image(torch.stack([transform(square) for square in squares]))
    rows = features(encoder, pictures)
    assert rows.shape == (3, encoder.dim) == (3, 256)
    assert rows.std() > 0
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)


def colours(network):
    config = open_clip.get_model_preprocess_cfg(network)
    return {key: config[key] for key in ("mean", "std", "interpolation")}


def test_the_image_half_alone_is_enough_of_a_file(build, pictures, network, file, tmp_path):
    save_file(network.visual.state_dict(), tmp_path / "half.safetensors")
    half = build("open-clip", model=SMALL, weights=str(tmp_path / "half.safetensors"))
    whole = build("open-clip", model=SMALL, weights=str(file))
    assert half.fingerprint == whole.fingerprint
    assert torch.equal(features(half, pictures), features(whole, pictures))
    assert not any("text" in name or "token" in name for name in half.module.state_dict())


def test_published_weights_are_the_default(build, monkeypatch, tmp_path):
    """With the colours and the activation that they were trained with."""
    network = make("ViT-B-32")
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    asked = []

    def fetch(published, **kwargs):
        asked.append(published)
        return str(tmp_path / "w.safetensors")

    monkeypatch.setattr(FROM_DOWNLOAD, fetch)
    encoder = build("open-clip")
    assert asked[0] == open_clip.get_pretrained_cfg("ViT-B-32", "laion2b_s34b_b79k")
    assert torch.equal(encoder.module.network.proj, network.visual.proj)
    quick = build("open-clip", weights="openai").module.network
    assert [type(block.mlp.gelu).__name__ for block in quick.transformer.resblocks] == ["QuickGELU"] * 12
    assert type(encoder.module.network.transformer.resblocks[0].mlp.gelu) is torch.nn.GELU


def test_a_model_of_other_colours(build, pictures):
    """SigLIP was trained on colours in [-1, 1]; a file of it does not say so, the published weights do."""
    encoder = build("open-clip", model="ViT-B-16-SigLIP", weights="none", size=32)
    assert encoder.module.normalized.mean.flatten().tolist() == [0.5] * 3
    assert encoder.prepare(pictures).shape == (3, 3, 32, 32)
    plain = build("open-clip", model=SMALL, weights="none", size=32)
    assert plain.module.normalized.mean[0].item() == pytest.approx(open_clip.OPENAI_DATASET_MEAN[0])


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
    with pytest.raises(DataError, match=r"clip.pt: not ViT-S-16-alt's image half's weights: '.*' is"):
        build("open-clip", model="ViT-S-16-alt", weights=str(file))
    path = tmp_path / "nan.pt"
    torch.save(network.state_dict() | {"visual.proj": torch.full_like(network.visual.proj, torch.nan)}, path)
    with pytest.raises(DataError, match=r"nan.pt: 'proj' holds numbers that are not finite"):
        build("open-clip", model=SMALL, weights=str(path))


def test_random_weights_follow_the_seed(build, pictures):
    before = torch.random.get_rng_state()
    one, again, other = (build("open-clip", model=SMALL, weights="none", seed=seed, size=64) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_it_can_be_trained_along(build, pictures):
    encoder = build("open-clip", model=SMALL, weights="none", size=64, trainable=True)
    assert encoder.trainable
    encoder.module.train()(encoder.prepare(pictures)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.module.parameters())


def test_it_prints_nothing_and_leaves_the_root_logger_alone(build, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    build("open-clip", model=SMALL, weights="none", size=64)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == []


def test_without_the_package_the_extra_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UsageError, match=r"^encoder 'open-clip' needs open_clip, .*: pip install 'dckt\[open-clip\]'$"):
        build("open-clip")
