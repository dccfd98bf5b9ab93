"""What torchvision alone has: how its families end, and how its published weights are spelled."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from dckt_core.base.errors import UsageError
from tests.support.encoding import features, seeded

FROM_DOWNLOAD = "torchvision.models._api.load_state_dict_from_url"


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
    network = seeded(models.get_model, "densenet121", weights=None)
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
    network = seeded(models.get_model, "vit_b_32", weights=None, image_size=32)
    new = {name: value for name, value in network.state_dict().items() if not name.startswith("heads")}
    old = {n.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for n, v in new.items()}
    assert old.keys() - new.keys()
    save_file(old, tmp_path / "vit.safetensors")
    encoder = build("torchvision", model="vit_b_32", weights=str(tmp_path / "vit.safetensors"), size=32)
    loaded = encoder.module.network.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in new.items())


def test_imagenet_is_the_default_and_takes_what_torchvision_gives(build, pictures, monkeypatch, tmp_path):
    state = seeded(models.get_model, "resnet18", weights=None).state_dict()
    monkeypatch.setattr(FROM_DOWNLOAD, lambda *args, **kwargs: state)
    torch.save(state, tmp_path / "w.pth")
    encoder = build("torchvision", model="resnet18")
    same = build("torchvision", model="resnet18", weights=str(tmp_path / "w.pth"))
    assert encoder.prepare(pictures).shape == (3, 3, 224, 224)
    assert encoder.fingerprint == same.fingerprint


def test_models_of_other_tasks_are_none(build):
    with pytest.raises(UsageError, match="no classification model 'fcn_resnet50'"):
        build("torchvision", model="fcn_resnet50")
