"""What the encoders of torchvision, timm and open_clip have in common: the library's own features, from any weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from dckt_core.base.errors import DataError, UsageError
from dckt_plugins.extras import quiet_root_logger
from tests.support.encoding import features, seeded
from tests.support.needs import part
from tests.support.tolerance import assert_same, path_terms

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Library:
    """A library of image networks, as its own users call it."""

    encoder: str
    model: str
    """A small one, whose `weight` is part of its features."""
    weight: str
    make: Callable[..., nn.Module]
    """model, size -> the network, classes or text half included, with weights of a seed."""
    transform: Callable[[str, nn.Module, int], Transform]
    """For squares that are scaled and cut already."""
    features: Callable[[nn.Module, Tensor], Tensor]

    def __str__(self) -> str:
        return self.encoder


# --- torchvision ----------------------------------------------------------------------------------------------


def torchvision_transform(model: str, network: nn.Module, size: int) -> Transform:
    transform: Transform = models.get_model_weights(model).DEFAULT.transforms(crop_size=size, resize_size=size)
    return transform


def torchvision_features(network: nn.Module, inputs: Tensor) -> Tensor:
    """What goes into the last linear layer."""
    last = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    seen: list[Tensor] = []
    hook = last.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    network(inputs)
    hook.remove()
    return seen[0]


TORCHVISION = Library(
    "torchvision",
    "resnet18",
    "layer1.0.conv1.weight",
    lambda model, size: seeded(models.get_model, model, weights=None),
    torchvision_transform,
    torchvision_features,
)

# --- timm -----------------------------------------------------------------------------------------------------


def timm_make(model: str, size: int | None) -> nn.Module:
    options = {"img_size": size} if size and "vit" in model else {}
    return seeded(part("timm").create_model, model, pretrained=False, **options)


def timm_transform(model: str, network: nn.Module, size: int) -> Transform:
    data = part("timm").data
    config = data.resolve_model_data_config(network) | {"crop_pct": 1.0, "input_size": (3, size, size)}
    transform: Transform = data.create_transform(**config)
    return transform


def timm_features(network: Any, inputs: Tensor) -> Tensor:
    pooled: Tensor = network.forward_head(network.forward_features(inputs), pre_logits=True)
    return pooled


TIMM = Library("timm", "test_resnet.r160_in1k", "conv1.0.weight", timm_make, timm_transform, timm_features)

# --- open_clip ------------------------------------------------------------------------------------------------


def open_clip_make(model: str, size: int | None) -> nn.Module:
    with quiet_root_logger():
        return seeded(part("open_clip").create_model, model, pretrained=None)


def open_clip_transform(model: str, network: nn.Module, size: int) -> Transform:
    transform: Transform = part("open_clip").image_transform(size, is_train=False)
    return transform


def open_clip_features(network: Any, inputs: Tensor) -> Tensor:
    """In the space that both halves share, of length one."""
    embedding: Tensor = network.encode_image(inputs, normalize=True)
    return embedding


OPEN_CLIP = Library("open-clip", "dckt-small", "visual.proj", open_clip_make, open_clip_transform, open_clip_features)


@pytest.fixture(scope="module")
def small_clip(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model of open_clip's own making that is quickly built."""
    vision = {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32}
    text = {"context_length": 8, "vocab_size": 99, "width": 32, "heads": 2, "layers": 1}
    file = tmp_path_factory.mktemp("config") / f"{OPEN_CLIP.model}.json"
    file.write_text(json.dumps({"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}))
    part("open_clip").add_model_config(file)


@pytest.fixture(params=[TORCHVISION, TIMM, OPEN_CLIP], ids=str)
def library(request: pytest.FixtureRequest) -> Library:
    chosen: Library = request.param
    part(chosen.encoder.replace("-", "_"))
    if chosen is OPEN_CLIP:
        request.getfixturevalue("small_clip")
    return chosen


# --------------------------------------------------------------------------------------------------------------


@pytest.mark.numerics
@pytest.mark.parametrize(
    ("library", "model", "size"),
    [
        (TORCHVISION, "resnet18", 64),
        (TORCHVISION, "mobilenet_v3_small", 64),
        (TORCHVISION, "regnet_y_400mf", 64),
        (TIMM, "test_resnet.r160_in1k", 96),
        (TIMM, "test_vit.r160_in1k", 96),
        (TIMM, "test_efficientnet.r160_in1k", None),
        (TIMM, "test_convnext", None),
        (OPEN_CLIP, OPEN_CLIP.model, None),
    ],
    indirect=["library"],
    ids=str,
)
@torch.no_grad()
def test_features_are_the_librarys_own(
    build: Any, pictures: Any, tmp_path: Any, library: Library, model: str, size: int | None
) -> None:
    """The library's transform of the same squares, the library's features; a file that holds classes or texts too."""
    network = library.make(model, size)
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    encoder = build(library.encoder, model=model, weights=str(tmp_path / "weights.pth"), size=size)
    prepared = encoder.prepare(pictures)
    assert size is None or prepared.shape[2:] == (size, size)
    transform = library.transform(model, network, prepared.shape[-1])
    squares = [transform(Image.fromarray(square.permute(1, 2, 0).numpy())) for square in prepared]
    expected = library.features(network, torch.stack(squares))
    rows = features(encoder, pictures)
    assert rows.shape == expected.shape == (3, encoder.dim)
    assert rows.std() > 0
    assert_same(rows, expected, terms=path_terms(encoder.module))


def test_random_weights_follow_the_seed(build: Any, pictures: Any, library: Library) -> None:
    before = torch.random.get_rng_state()
    one, again, other = (
        build(library.encoder, model=library.model, weights="none", seed=seed, size=64) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_it_can_be_trained_along(build: Any, pictures: Any, library: Library) -> None:
    """Batch normalisation keeps its statistics and dropout does not act, so one picture can be trained on."""
    encoder = build(library.encoder, model=library.model, weights="none", size=64, trainable=True)
    assert encoder.trainable
    inputs, module = encoder.prepare(pictures), encoder.module.train()
    before = {name: value.clone() for name, value in module.named_buffers()}
    assert torch.equal(module(inputs), module(inputs))
    module(inputs[:1]).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.named_buffers())


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("torchvision", "no classification model 'resnet5': did you mean 'resnet50'"),
        ("timm", r"^timm has no model 'resnet5': did you mean 'resnet50'\?$"),
        ("open-clip", r"open_clip has no model 'resnet5' \(known: "),
    ],
)
def test_an_unknown_model_is_suggested(build: Any, encoder: str, message: str) -> None:
    part(encoder.replace("-", "_"))
    with pytest.raises(UsageError, match=message):
        build(encoder, model="resnet5")


@pytest.mark.parametrize(
    ("encoder", "download", "subject"),
    [
        ("torchvision", ["torchvision.models._api.load_state_dict_from_url"], "resnet50's ImageNet weights"),
        (
            "timm",
            ["timm.models._builder.load_state_dict_from_hf", "timm.models._builder.load_state_dict_from_url"],
            "timm's weights of resnet50.a1_in1k",
        ),
        ("open-clip", ["open_clip.factory.download_pretrained"], "open_clip's weights laion2b_s34b_b79k of ViT-B-32"),
    ],
)
def test_a_failed_download_names_the_alternatives(
    build: Any, monkeypatch: pytest.MonkeyPatch, encoder: str, download: list[str], subject: str
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route\nto host")

    part(encoder.replace("-", "_"))
    for name in download:
        monkeypatch.setattr(name, refuse)
    with pytest.raises(UsageError, match=rf"^{subject} .*no route to host.*weights=FILE.*=none"):
        build(encoder)


@pytest.mark.parametrize(("encoder", "model"), [("torchvision", "vit_b_16"), ("timm", "test_maxvit")])
def test_a_size_that_the_model_does_not_take(build: Any, encoder: str, model: str) -> None:
    part(encoder)
    with pytest.raises(UsageError, match=f"{encoder}/{model} does not take pictures of size=50: "):
        build(encoder, model=model, weights="none", size=50)


def test_files_that_do_not_fit(build: Any, tmp_path: Any, library: Library) -> None:
    def refused(file: str, message: str) -> None:
        with pytest.raises((DataError, UsageError), match=message):
            build(library.encoder, model=library.model, weights=str(tmp_path / file))

    refused("absent.pth", r"absent\.pth(: no such file|' is neither a file nor a tag)")
    state = library.make(library.model, None).state_dict()
    name = library.weight.removeprefix("visual.")
    torch.save(state | {library.weight: torch.full_like(state[library.weight], torch.nan)}, tmp_path / "nan.pth")
    refused("nan.pth", rf"nan\.pth: '{name}' holds numbers that are not finite")
    torch.save(state | {library.weight: state[library.weight][:-1]}, tmp_path / "other.pth")
    refused("other.pth", rf"other\.pth: not .*'s weights: '{name}' is")
    del state[library.weight]
    torch.save(state, tmp_path / "less.pth")
    refused("less.pth", rf"less\.pth: not .*'s weights: '{name}' is missing")


@pytest.mark.parametrize("encoder", ["timm", "open-clip"])
def test_without_the_package_the_extra_is_named(build: Any, monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    package = encoder.replace("-", "_")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        UsageError, match=rf"^encoder '{encoder}' needs {package}, .*: pip install 'dckt\[{encoder}\]'$"
    ):
        build(encoder)
