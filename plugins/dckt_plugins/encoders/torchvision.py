"""`torchvision`: any of torchvision's classification models without its last layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from dckt_core import Encoder, EncoderContext, UsageError, did_you_mean, seeded_construction, tensors_digest
from dckt_plugins.encoders.catalogue import TorchvisionOptions
from dckt_plugins.encoders.image_network import image_encoder
from dckt_plugins.encoders.weights import ALTERNATIVES, downloaded, load_into, read_weights


def build(options: TorchvisionOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.TorchvisionOptions`.

    Raises:
        UsageError: no such model, a size that it does not take, or its weights cannot be downloaded.
        DataError: the weights file is missing or does not fit.
    """
    from torchvision import models

    known = known_models()
    if options.model not in known:
        raise UsageError(
            f"torchvision has no classification model '{options.model}'{did_you_mean(options.model, known)}"
        )
    published = models.get_model_weights(options.model).DEFAULT
    transforms = published.transforms()
    size = options.size or transforms.crop_size[0]
    try:
        with seeded_construction(context.seed, f"torchvision {options.model}"):
            network: nn.Module = models.get_model(options.model, **_arguments(options, size))
    except AssertionError as error:
        raise UsageError(f"torchvision/{options.model} does not take pictures of size={size}: {error}") from None
    take_off_last_layer(network)
    if options.weights == "none":
        source = f"random-{context.seed}"
    else:
        imagenet = options.weights == "imagenet"
        named = f"{options.model}'s ImageNet weights" if imagenet else options.weights
        given = (
            downloaded(
                lambda: published.get_state_dict(progress=False, check_hash=True, weights_only=True),
                named=named,
                alternatives=ALTERNATIVES,
            )
            if imagenet
            else read_weights(Path(options.weights))
        )
        load_into(network, modern_names(given), named=named, network_name=options.model)
        source = tensors_digest(network.state_dict())
    return image_encoder(
        network,
        name=f"torchvision/{options.model}",
        weights=source,
        size=size,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        resampling=Image.Resampling[transforms.interpolation.name],
        trainable=options.trainable,
    )


def known_models() -> list[str]:
    """torchvision's names of classification models."""
    from torchvision import models

    names: list[str] = models.list_models(module=models)
    return names


def take_off_last_layer(network: nn.Module) -> None:
    """Puts nothing in the place of the layer that scores classes: the last linear layer or convolution.

    (SqueezeNet scores places by a convolution and takes the mean after it; it then gives the mean of its features.)
    """
    name = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)][-1]
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())


def modern_names(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The published DenseNets write `norm.1` for `norm1`, which torchvision puts right outside the module."""
    old = {name: re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name) for name in weights}
    return {new: weights[name] for name, new in old.items()} if any(a != b for a, b in old.items()) else weights


def _arguments(options: TorchvisionOptions, size: int) -> dict[str, Any]:
    """What torchvision itself sets for its published weights, where a model does not come so by default."""
    if options.model.startswith("vit_"):
        return {"image_size": size}
    if options.model in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True, "transform_input": options.weights != "none"}
    return {}
