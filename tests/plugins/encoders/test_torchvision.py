from __future__ import annotations

import re

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import models

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.rng import seeded_construction
from dckt_core.data.features import compute_features

FROM_DOWNLOAD = "torchvision.models._api.load_state_dict_from_url"


def features(encoder, items):
    return compute_features(encoder, items, device=torch.device("cpu"), batch=4)


def make(model, **options):
    """torchvision's own model with weights of a seed, in eval mode."""
    with seeded_construction(1, "test"):
        network = models.get_model(model, weights=None, **options)
        for name, value in network.named_buffers():  # as if it had seen data
            if name.endswith("running_mean"):
                value.uniform_(-0.1, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return network.eval()


def penultimate(network, inputs):
    """What goes into the last linear layer."""
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    seen = []
    with torch.no_grad():
        hook = last.register_forward_hook(lambda module, args, output: seen.append(args[0]))
        network(inputs)
        hook.remove()
    return seen[0]


@pytest.mark.parametrize(("model", "dim"), [("resnet18", 512), ("mobilenet_v3_small", 1024), ("regnet_y_400mf", 440)])
def test_features_are_torchvisions_penultimate(build, pictures, tmp_path, model, dim):
    network = make(model)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    encoder = build("torchvision", model=model, weights=str(tmp_path / "weights.pth"), size=64)
    transforms = models.get_model_weights(model).DEFAULT.transforms(crop_size=64, resize_size=64)
    squares = [Image.fromarray(square.permute(1, 2, 0).numpy()) for square in encoder.prepare(pictures)]
    expected = penultimate(network, torch.stack([transforms(square) for square in squares]))
    rows = features(encoder, pictures)
    assert rows.shape == (3, dim) == (3, encoder.dim)
    assert rows.std() > 0
    torch.testing.assert_close(rows, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "size", "dim"),
    [("alexnet", 64, 4096), ("squeezenet1_1", 64, 512), ("googlenet", 64, 1024), ("densenet121", 64, 1024)],
)
def test_families_that_end_in_their_own_way(build, pictures, model, size, dim):
    encoder = build("torchvision", model=model, weights="none", size=size)
    assert features(encoder, pictures).shape == (3, dim)


@pytest.mark.slow
@pytest.mark.parametrize("model", models.list_models(module=models))
def test_every_model_gives_rows(build, pictures, model):
    if model in ("regnet_y_128gf", "vit_h_14", "regnet_y_32gf", "regnet_x_32gf"):
        pytest.skip("gigabytes of weights")
    encoder = build("torchvision", model=model, weights="none")
    assert features(encoder, pictures[:1]).shape == (1, encoder.dim)


def test_published_weights_in_older_spellings_are_understood(build, pictures, tmp_path):
    """The published DenseNets write `norm.1` for `norm1`, the vision transformers `linear_1` for a number."""
    network = make("densenet121")
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", n): v for n, v in network.state_dict().items()}
    old = {name: value for name, value in old.items() if not name.endswith("num_batches_tracked")}
    assert old.keys() - network.state_dict().keys()
    save_file(old, tmp_path / "densenet.safetensors")
    save_file(network.state_dict(), tmp_path / "new.safetensors")
    first, second = (
        build("torchvision", model="densenet121", weights=str(tmp_path / name), size=32)
        for name in ("densenet.safetensors", "new.safetensors")
    )
    assert torch.equal(features(first, pictures), features(second, pictures))
    assert first.fingerprint == second.fingerprint


def test_older_transformers_are_understood(build, pictures, tmp_path):
    network = make("vit_b_32", image_size=32)
    new = {name: value for name, value in network.state_dict().items() if not name.startswith("heads")}
    old = {n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for n, v in new.items()}
    assert old.keys() - new.keys()
    save_file(old, tmp_path / "vit.safetensors")
    encoder = build("torchvision", model="vit_b_32", weights=str(tmp_path / "vit.safetensors"), size=32)
    loaded = encoder.module.network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in new.items())


def test_imagenet_is_the_default_and_takes_what_torchvision_gives(build, pictures, monkeypatch, tmp_path):
    state = make("resnet18").state_dict()
    monkeypatch.setattr(FROM_DOWNLOAD, lambda *args, **kwargs: state)
    torch.save(state, tmp_path / "w.pth")
    encoder = build("torchvision", model="resnet18")
    same = build("torchvision", model="resnet18", weights=str(tmp_path / "w.pth"))
    assert encoder.prepare(pictures).shape == (3, 3, 224, 224)
    assert encoder.fingerprint == same.fingerprint


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("no route\nto host")

    monkeypatch.setattr(FROM_DOWNLOAD, refuse)
    with pytest.raises(UsageError, match=r"^resnet50's ImageNet weights .*no route to host.*weights=FILE.*=none"):
        build("torchvision")


def test_an_unknown_model_is_suggested(build):
    with pytest.raises(UsageError, match="no classification model 'resnet5': did you mean 'resnet50'"):
        build("torchvision", model="resnet5")
    with pytest.raises(UsageError, match="no classification model 'fcn_resnet50'"):
        build("torchvision", model="fcn_resnet50")


def test_a_size_that_the_model_does_not_take(build):
    with pytest.raises(UsageError, match="torchvision/vit_b_16 does not take pictures of size=50: "):
        build("torchvision", model="vit_b_16", weights="none", size=50)


def test_weights_of_another_model(build, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(make("resnet34").state_dict(), path)
    with pytest.raises(DataError, match="not resnet50's weights: 'layer1.0.conv1.weight' is"):
        build("torchvision", weights=str(path))
    torch.save(make("resnet18").state_dict() | {"bn1.bias": torch.full((64,), torch.inf)}, path)
    with pytest.raises(DataError, match=r"'bn1\.bias' holds numbers that are not finite"):
        build("torchvision", model="resnet18", weights=str(path))


def test_random_weights_follow_the_seed(build, pictures):
    one, again, other = (build("torchvision", model="resnet18", weights="none", seed=s, size=32) for s in (1, 1, 2))
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_training_draws_nothing_and_keeps_statistics(build, pictures):
    """Batch normalisation keeps its statistics and dropout does not act, so one picture can be trained on."""
    encoder = build("torchvision", model="mobilenet_v3_small", weights="none", size=32, trainable=True)
    assert encoder.trainable
    inputs = encoder.prepare(pictures)
    before = {name: value.clone() for name, value in encoder.module.named_buffers()}
    module = encoder.module.train()
    assert torch.equal(module(inputs), module(inputs))
    module(inputs[:1]).sum().backward()
    assert sum(parameter.grad is not None for parameter in module.parameters()) == len(list(module.parameters()))
    assert all(torch.equal(value, before[name]) for name, value in module.named_buffers())
