from __future__ import annotations

import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.rng import seeded_construction
from dckt_core.data.features import compute_features

timm = pytest.importorskip("timm")
FROM_DOWNLOAD = "timm.models._builder.load_state_dict_from_hf"
TINY = "test_resnet.r160_in1k"


def features(encoder, items):
    return compute_features(encoder, items, device=torch.device("cpu"), batch=4)


def make(model=TINY, **options):
    """timm's own model, classes included, with weights of a seed."""
    with seeded_construction(1, "test"):
        network = timm.create_model(model, pretrained=False, **options)
        for name, value in network.named_buffers():  # as if it had seen data
            if name.endswith("running_mean"):
                value.uniform_(-0.1, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(make().state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("model", "size"),
    [(TINY, 96), ("test_vit.r160_in1k", 96), ("test_efficientnet.r160_in1k", None), ("test_convnext", None)],
)
def test_features_are_what_timm_pools(build, pictures, tmp_path, model, size):
    """timm's own transform of the squares, timm's own features; a file that holds the classes too."""
    network = make(model, **({"img_size": size} if size and "vit" in model else {}))
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    encoder = build("timm", model=model, weights=str(tmp_path / "weights.pth"), size=size)
    inputs = encoder.prepare(pictures)
    assert inputs.shape == (3, 3, size or 160, size or 160)
    config = timm.data.resolve_model_data_config(network) | {"crop_pct": 1.0, "input_size": inputs.shape[1:]}
    transform = timm.data.create_transform(**config)
    squares = [Image.fromarray(square.permute(1, 2, 0).numpy()) for square in inputs]
    with torch.no_grad():
        maps = network.forward_features(torch.stack([transform(square) for square in squares]))
        expected = network.forward_head(maps, pre_logits=True)
    rows = features(encoder, pictures)
    assert rows.shape == (3, encoder.dim) == (3, network.head_hidden_size)
    assert rows.std() > 0
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)


def test_pictures_are_scaled_as_the_model_was_trained(build, pictures):
    bilinear, bicubic = (build("timm", model=model, weights="none") for model in (TINY, "test_vit.r160_in1k"))
    for encoder, how in ((bilinear, Image.Resampling.BILINEAR), (bicubic, Image.Resampling.BICUBIC)):
        expected = pictures[2].open().resize((160, 160), how)
        assert encoder.prepare(pictures[2:])[0].permute(1, 2, 0).numpy().tobytes() == expected.tobytes()


def test_pretrained_weights_are_the_default_and_equal_their_file(build, pictures, monkeypatch, file):
    state = make().state_dict()
    monkeypatch.setattr(FROM_DOWNLOAD, lambda *args, **kwargs: dict(state))
    downloaded, read = build("timm", model=TINY), build("timm", model=TINY, weights=str(file))
    assert downloaded.fingerprint == read.fingerprint
    assert torch.equal(features(downloaded, pictures), features(read, pictures))


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr(FROM_DOWNLOAD, refuse)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_url", refuse)
    with pytest.raises(UsageError, match=r"^timm's weights of resnet50.a1_in1k .*no route to host.*weights=FILE.*none"):
        build("timm")


def test_a_model_without_published_weights(build):
    with pytest.raises(UsageError, match=r"timm publishes no weights of 'test_maxvit'; take .*weights=FILE"):
        build("timm", model="test_maxvit")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("resnet5", "resnet50"), ("test_resnt.r160_in1k", "test_resnet"), ("resnet50.a1_in1", "resnet50.a1_in1k")],
)
def test_an_unknown_model_is_suggested(build, typed, meant):
    with pytest.raises(UsageError, match=f"^timm has no model '{typed}': did you mean '{meant}'\\?$"):
        build("timm", model=typed)


def test_a_size_that_the_model_does_not_take(build):
    with pytest.raises(UsageError, match="timm/test_maxvit does not take pictures of size=50: "):
        build("timm", model="test_maxvit", weights="none", size=50)


def test_files_that_do_not_fit(build, file, tmp_path):
    with pytest.raises(DataError, match=r"tiny.safetensors: not test_vit's weights: 'cls_token' is missing"):
        build("timm", model="test_vit", weights=str(file))
    with pytest.raises(DataError, match=r"absent.pth: no such file"):
        build("timm", model=TINY, weights=str(tmp_path / "absent.pth"))
    state = make().state_dict()
    torch.save(state | {"conv1.0.weight": torch.full_like(state["conv1.0.weight"], torch.nan)}, tmp_path / "nan.pth")
    with pytest.raises(DataError, match=r"nan.pth: 'conv1.0.weight' holds numbers that are not finite"):
        build("timm", model=TINY, weights=str(tmp_path / "nan.pth"))


def test_random_weights_follow_the_seed(build, pictures):
    before = torch.random.get_rng_state()
    one, again, other = (build("timm", model=TINY, weights="none", seed=seed, size=64) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_it_can_be_trained_along(build, pictures):
    encoder = build("timm", model=TINY, weights="none", size=64, trainable=True)
    assert encoder.trainable
    encoder.module.train()(encoder.prepare(pictures)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.module.parameters())


def test_without_the_package_the_extra_is_named(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"^encoder 'timm' needs timm, .*: pip install 'dckt\[timm\]'$"):
        build("timm")
