"""`vgg19`: the paper's image encoder, torchvision's network cut at pool5, fc6 or fc7, with its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from dckt_core import Encoder, EncoderContext, tensors_digest
from dckt_plugins.encoders.catalogue import VGG19Options
from dckt_plugins.encoders.pictures import Normalized, squares
from dckt_plugins.encoders.weights import ALTERNATIVES, downloaded, fitting, read_weights

STRIDE = 32
"""Pixels of a side of the input for each place of pool5."""

DEPTH = {"pool5": 0, "fc6": 1, "fc7": 2}
"""How many fully connected layers come before a layer's output."""


class CutVGG19(nn.Module):
    """RGB pictures, uint8 [n, 3, s, s], to the output of a layer, after ReLU where it has one; dropout never acts.

    pool5 is flattened as it is: 512 (s // 32)^2 values. fc6 and fc7 have 4096 and see pool5 pooled to 7 x 7.
    """

    def __init__(self, features: nn.Module, avgpool: nn.Module, linears: list[nn.Linear]) -> None:
        super().__init__()
        self.normalized = Normalized()
        self.features = features
        self.avgpool = avgpool
        self.linears = nn.ModuleList(linears)

    def forward(self, pictures: Tensor) -> Tensor:
        rows: Tensor = self.features(self.normalized(pictures))
        if self.linears:
            rows = self.avgpool(rows)
        rows = rows.flatten(1)
        for linear in self.linears:
            rows = linear(rows).relu()
        return rows


def build(options: VGG19Options, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.VGG19Options`.

    Raises:
        UsageError: ImageNet weights cannot be downloaded.
        DataError: the weights file is missing or does not fit.
    """
    from torchvision.models import vgg19

    with torch.device("meta"):  # layers that nothing needs stay without memory
        network: nn.Module = vgg19(init_weights=False)
    features, classifier = cast(nn.Sequential, network.features), cast(nn.Sequential, network.classifier)
    fc6, fc7 = cast(nn.Linear, classifier[0]), cast(nn.Linear, classifier[3])
    depth = DEPTH[options.layer]
    if options.weights == "none":
        draw_weights([*features, *[fc6, fc7][:depth]], context.generator("vgg19 weights"))
        source, head = f"random-{context.seed}", []
    else:
        weights = _weights(options, network)
        network.load_state_dict(weights, strict=False, assign=True)
        source, head = tensors_digest(weights), [fc for fc in [fc6, fc7][depth:] if not fc.weight.is_meta]
    return Encoder(
        prepare=lambda items: squares(items, options.size),
        module=CutVGG19(features, cast(nn.Module, network.avgpool), [fc6, fc7][:depth]),
        dim=512 * (options.size // STRIDE) ** 2 if options.layer == "pool5" else fc6.out_features,
        fingerprint=f"vgg19/{options.layer}/{options.size}/{source}",
        trainable=options.trainable,
        head=head,
    )


def draw_weights(layers: list[nn.Module], generator: torch.Generator) -> None:
    """Random weights as torchvision draws them: He normal over the fan-out; fully connected ones of deviation 0.01."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.to_empty(device="cpu")
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(layer, nn.Linear):
            layer.to_empty(device="cpu")
            nn.init.normal_(layer.weight, 0, 0.01, generator=generator)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _weights(options: VGG19Options, network: nn.Module) -> dict[str, Tensor]:
    """The tensors that are needed; a file may leave out the fully connected layers where only pool5 is asked for."""
    imagenet = options.weights == "imagenet"
    given: Mapping[str, Tensor] = _download() if imagenet else read_weights(Path(options.weights))
    wanted = {name: value for name, value in network.state_dict().items() if not name.startswith("classifier.6.")}
    if options.layer == "pool5" and not any(name.startswith("classifier.") for name in given):
        wanted = {name: value for name, value in wanted.items() if name.startswith("features.")}
    return fitting(given, wanted, named="ImageNet weights" if imagenet else options.weights, network="VGG19")


def _download() -> Mapping[str, Tensor]:
    """torchvision's ImageNet weights, from its cache or the network."""
    from torchvision.models import VGG19_Weights

    weights = VGG19_Weights.IMAGENET1K_V1
    return downloaded(
        lambda: dict(weights.get_state_dict(progress=False, check_hash=True, weights_only=True)),
        named="VGG19's ImageNet weights",
        alternatives=ALTERNATIVES,
    )
