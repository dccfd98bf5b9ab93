"""`open-clip`: either half of a CLIP model of the open_clip library, whose rows share the model's space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from dckt_core import (
    DataError,
    Encoder,
    EncoderContext,
    TextItem,
    UsageError,
    did_you_mean,
    seeded_construction,
    tensors_digest,
)
from dckt_plugins.encoders.catalogue import OpenClipOptions
from dckt_plugins.encoders.hugging_face import spelling
from dckt_plugins.encoders.image_network import image_encoder
from dckt_plugins.encoders.text_network import TextNetwork
from dckt_plugins.encoders.weights import (
    ALTERNATIVES,
    check_finite,
    downloaded,
    load_into,
    one_line,
    read_weights,
)
from dckt_plugins.extras import need, quiet_root_logger

WHO, EXTRA = "encoder 'open-clip'", "open-clip"
HUB = "hf-hub:"
PUBLISHED, USUAL = "pretrained", "laion2b_s34b_b79k"
"""What stands for a named model's published weights: this tag, where it has it, or else its first."""
HALVES = {"image": "visual", "text": "text"}
"""What open_clip calls them, in a model whose text half is a module of its own."""


def build(options: OpenClipOptions, context: EncoderContext) -> Encoder:
    """The encoder of `context.medium`; see `catalogue.OpenClipOptions`.

    Raises:
        UsageError: open_clip is not installed, has no such model or tag, the model does not take the size, or its
            weights or its tokenizer cannot be downloaded.
        DataError: the weights file or the folder is missing or does not fit, or would run code.
    """
    library: Any = need("open_clip", of=WHO, extra=EXTRA)
    medium = context.medium or "image"
    size = options.size if medium == "image" else None  # texts have none: they share a model that was given none
    key = ("open-clip", options.model, options.weights, size)
    model: Model = context.once(key, lambda: load(library, options, size, context.seed))
    if medium == "image":
        return _images(library, model, options.trainable)
    return _texts(library, model, options.trainable)


class Model:
    """A whole model, of which either half is an encoder.

    Args:
        name: of the model, as the option has it.
        architecture: names what its weights do not say.
        network: with `visual` and `text`, in eval mode.
        has: the halves that have weights; both but for a file of one half.
        random: names the draw of weights that nobody trained; empty where they were.
    """

    def __init__(
        self, name: str, architecture: str, network: Any, has: Sequence[str] = tuple(HALVES), random: str = ""
    ) -> None:
        self.name, self.architecture, self.network, self.has, self.random = name, architecture, network, has, random

    def half(self, medium: str) -> nn.Module:
        """One half of it.

        Raises:
            DataError: its weights are not there.
        """
        if medium not in self.has:
            raise DataError(
                f"the weights of {self.name} are those of its {self.has[0]} half alone, and not of {medium}s"
            )
        half: nn.Module = getattr(self.network, HALVES[medium])
        if getattr(half, "output_tokens", False):  # CoCa's; the embedding alone is wanted
            half.output_tokens = False  # type: ignore[assignment]
        return half

    def digest(self, medium: str) -> str:
        """Names the weights of a half."""
        return self.random or tensors_digest(self.half(medium).state_dict())

    @cached_property
    def space(self) -> str | None:
        """Names the model by its text half; None where it was not trained, or is not whole."""
        whole = len(self.has) == len(HALVES) and not self.random
        return f"open-clip/{self.architecture}/{self.digest('text')}" if whole else None


def load(library: Any, options: OpenClipOptions, size: int | None, seed: int) -> Model:
    """The model that the options name; raises as `build`."""
    if options.model.startswith(HUB) or Path(options.model).is_dir():
        return _whole(library, options, size, seed)
    return _named(library, options, size, seed)


def _whole(library: Any, options: OpenClipOptions, size: int | None, seed: int) -> Model:
    """A model with its configuration, weights and tokenizer together: in a folder, or on the Hugging Face Hub."""
    if options.weights != PUBLISHED:
        raise UsageError(f"{options.model} has its weights with it: leave weights= out")

    def create() -> tuple[str, Any]:
        name = _schema(options.model)
        with seeded_construction(seed, f"open_clip {options.model}"), quiet_root_logger():
            config = json.dumps(library.get_model_config(name), sort_keys=True)
            if "trust_remote_code" in config:
                raise ValueError("it asks for code of its own to be run, so it is refused")
            network = library.create_model(
                name, force_custom_text=True, force_image_size=size, require_pretrained=True, weights_only=True
            )
        return hashlib.sha256(config.encode()).hexdigest()[:16], network

    if options.model.startswith(HUB):
        architecture, network = downloaded(create, named=options.model, alternatives=ALTERNATIVES)
    else:
        try:
            architecture, network = create()
        except Exception as error:
            raise DataError(f"{options.model}: not a model of open_clip: {one_line(error)}") from None
    check_finite(network.state_dict(), named=options.model)
    return Model(options.model, architecture, network.eval())


def _schema(model: str) -> str:
    """How open_clip wants a folder to be called."""
    return f"local-dir:{model}" if Path(model).is_dir() else model


def _named(library: Any, options: OpenClipOptions, size: int | None, seed: int) -> Model:
    """A model that open_clip knows by name, with published weights, those of a file, or random ones."""
    known = known_models()
    if options.model not in known:
        raise UsageError(f"open_clip has no model '{options.model}'{did_you_mean(options.model, known)}")
    tags = library.list_pretrained_tags_by_model(options.model)
    weights = options.weights
    if weights == PUBLISHED and tags:
        weights = USUAL if USUAL in tags else tags[0]
    tag = weights if weights in tags else None
    file = None if tag or weights == "none" else Path(weights)
    if file is not None and not file.exists():
        raise UsageError(
            f"'{file}' is neither a file nor a tag of open_clip's {options.model}"
            f"{did_you_mean(weights, [*tags, 'none'])}"
        )
    # What a file was trained with is not in it: the colours are taken from the model's first published weights.
    published = library.get_pretrained_cfg(options.model, tag or tags[0]) if tags else {}
    colours = {key: published[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in published}

    def create() -> Any:
        with seeded_construction(seed, f"open_clip {options.model}"), quiet_root_logger():
            return library.create_model(
                options.model,
                pretrained=tag,
                pretrained_text=False,
                force_custom_text=True,
                force_quick_gelu=tag is not None and published.get("quick_gelu", False),
                force_image_size=size,
                force_preprocess_cfg=colours,
            )

    if tag:
        named = f"open_clip's weights {tag} of {options.model}"
        network = downloaded(create, named=named, alternatives=ALTERNATIVES)
        return Model(options.model, options.model, network.eval())
    try:
        network = create().eval()
    except Exception as error:  # its text half may ask the network for its shape
        raise UsageError(f"open-clip/{options.model} cannot be built: {one_line(error)}") from None
    if file is None:
        return Model(options.model, options.model, network, random=f"random-{seed}")
    has = _read_into(library, network, file, options.model)
    return Model(options.model, options.model, network, has)


def _read_into(library: Any, network: Any, file: Path, name: str) -> tuple[str, ...]:
    """Puts a file's weights, of the model or of one half, in their place; the halves that it has."""
    given = library.model.convert_to_custom_text_state_dict(read_weights(file))
    parts = {
        medium: {key.removeprefix(f"{half}."): value for key, value in given.items() if key.startswith(f"{half}.")}
        for medium, half in HALVES.items()
    }
    if not any(parts.values()):  # the tensors of a half by itself, as its module calls them
        texts = "token_embedding.weight" in given
        parts = {"text" if texts else "image": dict(given)}
    for medium, part in parts.items():
        if part:
            half = getattr(network, HALVES[medium])
            load_into(half, part, named=str(file), network_name=f"{name}'s {medium} half")
    return tuple(medium for medium, part in parts.items() if part)


def _images(library: Any, model: Model, trainable: bool) -> Encoder:
    half = model.half("image")
    config = library.get_model_preprocess_cfg(model.network)
    size = config["size"]
    return image_encoder(
        half,
        name=f"open-clip/{model.architecture}",
        weights=model.digest("image"),
        size=size if isinstance(size, int) else max(size),
        mean=config["mean"],
        std=config["std"],
        resampling=Image.Resampling[config["interpolation"].upper()],
        fit=config["resize_mode"],
        unit=True,
        space=model.space,
        trainable=trainable,
    )


def _texts(library: Any, model: Model, trainable: bool) -> Encoder:
    half = model.half("text")
    tokenizer = _tokenizer(library, model)
    length = tokenizer.context_length
    spelt = spelling(tokenizer.tokenizer) if hasattr(tokenizer, "tokenizer") else type(tokenizer).__name__

    def prepare(items: Sequence[TextItem]) -> Tensor:
        if not items:
            return torch.zeros(0, length, dtype=torch.int32)
        tokens: Tensor = tokenizer([item.text for item in items])
        return tokens.int()

    def cut(text: str) -> bool:
        """Whether it has other tokens where there is room for one more."""
        return not torch.equal(tokenizer([text], context_length=length + 1)[0, :length], tokenizer([text])[0])

    module = TextNetwork(half)
    with torch.no_grad():
        dim = module(prepare([TextItem("", "a")])).shape[1]
    return Encoder(
        prepare=prepare,
        module=module,
        dim=dim,
        fingerprint=f"open-clip/{model.architecture}/{spelt}/{length}/{model.digest('text')}",
        trainable=trainable,
        cut=None if getattr(tokenizer, "tokenizer_mode", "") == "clips" else cut,  # that one ends texts in its own way
        space=model.space,
    )


def _tokenizer(library: Any, model: Model) -> Any:
    """The model's own, which cuts and pads to its context length."""
    alternatives = "--text-encoder-opt model=FOLDER for a folder that has it, or another --text-encoder"

    def fetch() -> Any:
        with quiet_root_logger():
            return library.get_tokenizer(_schema(model.name))

    return downloaded(fetch, named=f"the tokenizer of {model.name}", alternatives=alternatives)


def known_models() -> list[str]:
    """open_clip's names of models."""
    library: Any = need("open_clip", of=WHO, extra=EXTRA)
    names: list[str] = library.list_models()
    return names
