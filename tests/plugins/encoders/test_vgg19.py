from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import VGG19_Weights, vgg19

from dckt_core.base.errors import DataError, UsageError
from dckt_core.base.rng import seeded_construction
from dckt_core.contract.pairs import ImageItem
from tests.support.encoding import features
from tests.support.tolerance import assert_same, path_terms

SIZE = 64


def network():
    """torchvision's own VGG19 with weights of a seed."""
    with torch.device("meta"):
        net = vgg19(init_weights=False).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
        values = torch.empty(parameter.shape, dtype=torch.float16 if fan_in > 10_000 else torch.float32)
        parameter_values = values.normal_(0, (2 / fan_in) ** 0.5, generator=generator).float()
        set_parameter(net, parameter, parameter_values)
    return net


def set_parameter(net, old, values):
    for module in net.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter is old:
                setattr(module, name, torch.nn.Parameter(values, requires_grad=False))


@pytest.fixture(scope="module")
def torchvisions():
    return network()


@pytest.fixture(scope="module")
def weights(torchvisions, tmp_path_factory):
    """The convolutions alone, which is all that pool5 needs."""
    path = tmp_path_factory.mktemp("weights") / "vgg19-features.safetensors"
    state = {name: value for name, value in torchvisions.state_dict().items() if name.startswith("features.")}
    save_file(state, path)
    return path


@pytest.mark.numerics
@torch.no_grad()
def test_pool5_is_torchvisions(build, pictures, torchvisions, weights):
    encoder = build("vgg19", weights=str(weights), size=SIZE)
    rows = features(encoder, pictures)
    normalized = VGG19_Weights.IMAGENET1K_V1.transforms(crop_size=SIZE, resize_size=SIZE)
    for row, item in zip(rows, pictures, strict=True):
        square = Image.fromarray(encoder.prepare([item])[0].permute(1, 2, 0).numpy())
        expected = torchvisions.features(normalized(square)[None]).flatten()
        assert expected.std() > 0.01
        assert_same(row, expected, terms=path_terms(encoder.module))
    assert encoder.dim == 512 * 2 * 2
    assert not encoder.trainable
    assert encoder.head == []  # the file has no fully connected layers


@torch.no_grad()
def test_fc6_and_fc7_are_torchvisions_and_the_rest_is_the_head(build, pictures, torchvisions, monkeypatch):
    state = torchvisions.state_dict()
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: state)
    fc6, fc7 = torchvisions.classifier[0], torchvisions.classifier[3]
    one = pictures[:1]
    for layer, linear, head in (("pool5", None, [fc6, fc7]), ("fc6", fc6, [fc7]), ("fc7", fc7, [])):
        encoder = build("vgg19", size=SIZE, layer=layer)
        assert [own.weight.shape for own in encoder.head] == [own.weight.shape for own in head]
        for own, theirs in zip(encoder.head, head, strict=True):
            assert torch.equal(own.weight, theirs.weight)
            assert torch.equal(own.bias, theirs.bias)
        if linear is None:
            rows = torchvisions.avgpool(features(encoder, one).view(1, 512, SIZE // 32, SIZE // 32)).flatten(1)
        else:
            rows = linear(rows).relu()
            assert encoder.dim == 4096
            assert_same(features(encoder, one), rows, terms=path_terms(encoder.module))


@torch.no_grad()
def test_dropout_never_acts(build, pictures):
    encoder = build("vgg19", weights="none", size=32)
    inputs = encoder.prepare(pictures)
    assert torch.equal(encoder.module.train()(inputs), encoder.module.eval()(inputs))


def test_random_weights_follow_the_seed_and_have_no_head(build, pictures):
    one, again, other = (build("vgg19", weights="none", size=32, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(features(one, pictures), features(again, pictures))
    assert not torch.equal(features(one, pictures), features(other, pictures))
    assert one.fingerprint == again.fingerprint != other.fingerprint
    assert list(one.head) == []


def test_random_weights_are_drawn_as_torchvision_draws_them(build):
    ours = build("vgg19", weights="none", size=32).module.features.state_dict()
    with seeded_construction(0, "torchvision's"):
        theirs = vgg19().features.state_dict()
    for name, value in theirs.items():
        if name.endswith("weight") and value.numel() > 100_000:
            assert ours[name].std() == pytest.approx(float(value.std()), rel=0.02)
        if name.endswith("bias"):
            assert not ours[name].any()


def test_fingerprints_tell_apart(build, weights, torchvisions, tmp_path):
    changed = {name: value.clone() for name, value in torchvisions.features.state_dict(prefix="features.").items()}
    changed["features.0.bias"][0] += 1e-3
    save_file(changed, tmp_path / "changed.safetensors")
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(weights.read_bytes())
    prints = [
        build("vgg19", weights=str(weights), size=32).fingerprint,
        build("vgg19", weights=str(tmp_path / "changed.safetensors"), size=32).fingerprint,
        build("vgg19", weights=str(weights), size=64).fingerprint,
        build("vgg19", weights="none", size=32).fingerprint,
    ]
    assert len(set(prints)) == 4
    assert build("vgg19", weights=str(renamed), size=32).fingerprint == prints[0]


def test_one_row_and_none(build, pictures):
    encoder = build("vgg19", weights="none", size=32)
    all_rows = features(encoder, pictures)
    assert_same(features(encoder, pictures[1:2]), all_rows[1:2], terms=path_terms(encoder.module))
    inputs = encoder.prepare([])
    assert inputs.shape == (0, 3, 32, 32)
    assert encoder.module(inputs).shape == (0, 512)


def test_the_centre_is_cut_out_of_the_picture(build, tmp_path):
    """A picture three times as wide as high: only its middle third is seen."""
    pixels = np.zeros((64, 192, 3), dtype=np.uint8)
    pixels[:, 64:128] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    prepared = build("vgg19", weights="none", size=32).prepare([ImageItem("wide", tmp_path / "wide.png")])
    assert prepared.dtype == torch.uint8
    inner = prepared[0, :, :, 1:-1]  # the filter reads a little beyond the cut
    assert torch.equal(inner, torch.tensor([10, 20, 30], dtype=torch.uint8)[:, None, None].expand_as(inner))


def test_trainable_has_gradients(build, pictures):
    encoder = build("vgg19", weights="none", size=32, trainable=True)
    assert encoder.trainable
    encoder.module(encoder.prepare(pictures)).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.module.parameters())


# --- errors ---------------------------------------------------------------------------------------------------


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def broken(case, good, tmp_path):
    """A file that is no VGG19's weights, and what the error must say of it."""
    path = tmp_path / f"{case}.pth"
    state = dict(good)
    if case == "missing":
        return path, "no such file"
    if case == "truncated":
        torch.save(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
        return path, "not a file of weights"
    if case == "truncated-safetensors":
        path = path.with_suffix(".safetensors")
        save_file(state, path)
        path.write_bytes(path.read_bytes()[:-1000])
        return path, "not a file of weights"
    if case == "wrong-shape":
        state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
        says = "'features.0.weight' is (64, 1, 3, 3), not (64, 3, 3, 3)"
    elif case == "nan":
        state["features.2.bias"] = torch.full_like(state["features.2.bias"], torch.nan)
        says = "'features.2.bias' holds numbers that are not finite"
    elif case == "another-network":
        state, says = {"conv1.weight": torch.zeros(3)}, "not VGG19's weights: 'features.0.weight' is missing"
    elif case == "no-tensors":
        state, says = {"features.0.weight": 3}, "not a dictionary of named tensors"
    elif case == "list":
        state, says = [torch.zeros(3)], "not a dictionary of named tensors"
    elif case == "malicious":
        state, says = {"x": Malicious(tmp_path / "marker")}, "it may run code when loaded, so it is refused"
    elif case == "text":
        path.write_text("no weights at all\n")
        return path, "refused"
    torch.save(state, path)
    return path, says


@pytest.mark.parametrize(
    "case",
    [
        "missing",
        "truncated",
        "truncated-safetensors",
        "wrong-shape",
        "nan",
        "another-network",
        "no-tensors",
        "list",
        "malicious",
        "text",
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(build, case, torchvisions, tmp_path):
    path, says = broken(case, torchvisions.features.state_dict(prefix="features."), tmp_path)
    with pytest.raises(DataError) as caught:
        build("vgg19", weights=str(path), size=32)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert not (tmp_path / "marker").exists()


def test_the_malicious_file_would_have_left_its_marker(tmp_path):
    path, _ = broken("malicious", {}, tmp_path)
    torch.load(path, weights_only=False)
    assert (tmp_path / "marker").exists()


def test_fc6_needs_the_fully_connected_layers(build, weights):
    with pytest.raises(DataError, match=r"'classifier\.0\.weight' is missing"):
        build("vgg19", weights=str(weights), layer="fc6")


def test_wrapped_and_prefixed_names_are_understood(build, weights, torchvisions, tmp_path):
    state = torchvisions.features.state_dict(prefix="module.features.")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "checkpoint.pth")
    wrapped = build("vgg19", weights=str(tmp_path / "checkpoint.pth"), size=32)
    assert wrapped.fingerprint == build("vgg19", weights=str(weights), size=32).fingerprint


def test_a_failed_download_names_the_alternatives(build, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("<urlopen error\n no route to host>")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    with pytest.raises(UsageError) as caught:
        build("vgg19")
    message = str(caught.value)
    assert "no route to host" in message
    assert "weights=FILE" in message
    assert "weights=none" in message
    assert "\n" not in message


def test_imagenet_is_the_default_and_takes_what_torchvision_gives(build, pictures, weights, torchvisions, monkeypatch):
    given = torchvisions.features.state_dict(prefix="features.")
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: given)
    encoder, same = build("vgg19", size=32), build("vgg19", size=32, weights=str(weights))
    assert torch.equal(features(encoder, pictures), features(same, pictures))
    assert encoder.fingerprint == same.fingerprint
