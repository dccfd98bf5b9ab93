"""`timm`: any image model of the timm library without its classes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from dckt_core import Encoder, EncoderContext, UsageError, seeded_construction, tensors_digest
from dckt_plugins.encoders.catalogue import TimmOptions
from dckt_plugins.encoders.image_network import image_encoder
from dckt_plugins.encoders.weights import ALTERNATIVES, downloaded, load_into, read_weights
from dckt_plugins.extras import need


def build(options: TimmOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.TimmOptions`.

    Raises:
        UsageError: timm is not installed, has no such model, the model does not take the size, or its weights cannot
            be downloaded.
        DataError: the weights file is missing or does not fit.
    """
    timm: Any = need("timm", of="encoder 'timm'", extra="timm")
    _check_known(timm, options.model)
    sized: dict[str, Any] = {} if options.size is None else {"img_size": options.size}

    def create(pretrained: bool) -> nn.Module:
        with seeded_construction(context.seed, f"timm {options.model}"):
            network: nn.Module = timm.create_model(options.model, pretrained=pretrained, num_classes=0, **sized)
        return network

    try:
        network = create(pretrained=False)
    except TypeError:  # a transformer must be told its size; a convolutional network takes any and knows no `img_size`
        sized = {}
        network = create(pretrained=False)
    except AssertionError as error:
        raise UsageError(f"timm/{options.model} does not take pictures of size={options.size}: {error}") from None
    if options.weights == "pretrained":
        if not timm.models.is_model_pretrained(options.model):
            raise UsageError(f"timm publishes no weights of '{options.model}'; take {ALTERNATIVES}")
        network = downloaded(
            lambda: create(pretrained=True), named=f"timm's weights of {options.model}", alternatives=ALTERNATIVES
        )
    elif options.weights != "none":
        given = read_weights(Path(options.weights))
        load_into(network, given, named=options.weights, network_name=options.model)
    config = timm.data.resolve_model_data_config(network)
    return image_encoder(
        network,
        name=f"timm/{options.model}",
        weights=f"random-{context.seed}" if options.weights == "none" else tensors_digest(network.state_dict()),
        size=options.size or max(config["input_size"][1:]),
        mean=config["mean"],
        std=config["std"],
        resampling=Image.Resampling[config["interpolation"].upper()],
        trainable=options.trainable,
    )


def known_models() -> list[str]:
    """timm's names, with the tags of published weights and without."""
    timm: Any = need("timm", of="encoder 'timm'", extra="timm")
    return [*timm.list_models(), *timm.list_pretrained()]


def _check_known(timm: Any, model: str) -> None:
    """Says the nearest name where there is no such model, or no such tag of it; timm knows too many to list all."""
    architecture = model.partition(".")[0]
    known = timm.list_models()
    try:
        if timm.is_model(architecture):
            timm.get_pretrained_cfg(model)
            return
    except RuntimeError:  # a tag that the architecture does not have
        known = timm.list_pretrained(f"{architecture}.*")
    near = difflib.get_close_matches(model, known, n=1, cutoff=0)
    raise UsageError(f"timm has no model '{model}'{f': did you mean {near[0]!r}?' if near else ''}")
