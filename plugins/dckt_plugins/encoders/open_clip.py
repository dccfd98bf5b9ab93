"""`open-clip`: the image half of a CLIP model of the open_clip library, without its text half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from torch import nn

from dckt_core import Encoder, EncoderContext, UsageError, did_you_mean, seeded_construction, tensors_digest
from dckt_plugins.encoders.catalogue import OpenClipOptions
from dckt_plugins.encoders.image_network import image_encoder
from dckt_plugins.encoders.weights import ALTERNATIVES, downloaded, load_into, one_line, read_weights
from dckt_plugins.extras import need, quiet_root_logger

HALF = "visual."
"""How the names of the image half begin in a file of a whole CLIP model."""


def build(options: OpenClipOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.OpenClipOptions`.

    Raises:
        UsageError: open_clip is not installed, has no such model or tag, the model does not take the size, or its
            weights cannot be downloaded.
        DataError: the weights file is missing or does not fit.
    """
    open_clip: Any = need("open_clip", of="encoder 'open-clip'", extra="open-clip")
    known = open_clip.list_models()
    if options.model not in known:
        raise UsageError(f"open_clip has no model '{options.model}': {did_you_mean(options.model, known)}")
    tags = open_clip.list_pretrained_tags_by_model(options.model)
    tag = options.weights if options.weights in tags else None
    file = None if tag or options.weights == "none" else Path(options.weights)
    if file is not None and not file.exists():
        raise UsageError(
            f"'{file}' is neither a file nor a tag of open_clip's {options.model}: "
            f"{did_you_mean(options.weights, [*tags, 'none'])}"
        )
    # What a file was trained with is not in it: the colours are taken from the model's first published weights.
    published = open_clip.get_pretrained_cfg(options.model, tag or tags[0]) if tags else {}
    colours = {key: published[key] for key in ("mean", "std", "interpolation") if key in published}

    def create() -> Any:
        with seeded_construction(context.seed, f"open_clip {options.model}"), quiet_root_logger():
            return open_clip.create_model(
                options.model,
                pretrained=tag,
                pretrained_text=False,
                force_quick_gelu=tag is not None and published.get("quick_gelu", False),
                force_image_size=options.size,
                force_preprocess_cfg=colours,
            )

    network = (
        downloaded(create, named=f"open_clip's weights {tag} of {options.model}", alternatives=ALTERNATIVES)
        if tag
        else _random(create, options)
    )
    half: nn.Module = network.visual
    if getattr(half, "output_tokens", False):  # CoCa's; the embedding alone is wanted
        half.output_tokens = False  # type: ignore[assignment]
    if file is not None:
        given = read_weights(file)
        given = {name.removeprefix(HALF): value for name, value in given.items() if name.startswith(HALF)} or given
        load_into(half, given, named=str(file), network_name=f"{options.model}'s image half")
    config = open_clip.get_model_preprocess_cfg(network)
    size = config["size"]
    return image_encoder(
        half,
        name=f"open-clip/{options.model}",
        weights=f"random-{context.seed}" if options.weights == "none" else tensors_digest(half.state_dict()),
        size=size if isinstance(size, int) else max(size),
        mean=config["mean"],
        std=config["std"],
        resampling=Image.Resampling[config["interpolation"].upper()],
        trainable=options.trainable,
    )


def _random(create: Any, options: OpenClipOptions) -> Any:
    """A model that draws its weights; its text half may still ask the network for its shape."""
    try:
        return create()
    except Exception as error:
        raise UsageError(f"open-clip/{options.model} cannot be built: {one_line(error)}") from None
