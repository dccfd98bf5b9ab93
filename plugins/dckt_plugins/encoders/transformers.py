"""`transformers`: either half of a model of that library that has one for images and one for texts, as CLIP has."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import (
    DataError,
    Encoder,
    EncoderContext,
    ImageItem,
    Medium,
    TextItem,
    UsageError,
    seeded_construction,
    tensors_digest,
)
from dckt_plugins.encoders.catalogue import TransformersOptions
from dckt_plugins.encoders.hugging_face import no_bars, spelling
from dckt_plugins.encoders.text_network import TextNetwork
from dckt_plugins.encoders.weights import check_finite, downloaded, one_line
from dckt_plugins.extras import need

WHO, EXTRA = "encoder 'transformers'", "transformers"
ALTERNATIVES = "model=FOLDER for one that is saved on disk, or another encoder"
OTHERS: dict[Medium, tuple[str, ...]] = {"image": ("text",), "text": ("vision", "visual")}
"""How the names of the modules begin that a medium's half does not need."""
T = TypeVar("T")


def build(options: TransformersOptions, context: EncoderContext) -> Encoder:
    """The encoder of `context.medium`; see `catalogue.TransformersOptions`.

    Raises:
        UsageError: the library is not installed, the model cannot be downloaded, or has no such halves.
        DataError: the folder does not hold a model that can be read without running code, or not all of its weights.
    """
    library: Any = need("transformers", of=WHO, extra=EXTRA)
    medium = context.medium or "image"
    place = _Place(library, options)
    model: Model = context.once(("transformers", options.model, options.revision), lambda: Model(place, context.seed))
    return _images(place, model, options) if medium == "image" else _texts(place, model, options)


class _Place:
    """Where a model's files are: a folder, or the Hugging Face Hub."""

    def __init__(self, library: Any, options: TransformersOptions) -> None:
        self._library, self.name, self._revision = library, options.model, options.revision
        self._folder = Path(options.model).is_dir()

    def read(self, what: str, **more: Any) -> Any:
        """What an automatic class of the library makes of the files, without running code that is among them."""

        def fetch() -> Any:
            with no_bars(of=WHO, extra=EXTRA):
                return getattr(self._library, what).from_pretrained(
                    self.name,
                    revision=self._revision,
                    local_files_only=self._folder,
                    trust_remote_code=False,
                    **more,
                )

        return self.attempt(fetch)

    def attempt(self, fetch: Callable[[], T]) -> T:
        """What `fetch` gives; what it raises in one line that names the place."""
        if not self._folder:
            named = f"'{self.name}' is no folder and, as a name,"
            return downloaded(fetch, named=named, alternatives=ALTERNATIVES)
        try:
            return fetch()
        except Exception as error:
            raise DataError(f"{self.name}: not a model of transformers: {one_line(error)}") from None


class Model:
    """A whole model, of which either half is an encoder."""

    def __init__(self, place: _Place, seed: int) -> None:
        with seeded_construction(seed, "transformers"):  # the library draws what it then reads
            self.network, found = place.read("AutoModel", dtype=torch.float32, output_loading_info=True)
        self.kind = type(self.network).__name__
        if not all(hasattr(self.network, f"get_{medium}_features") for medium in OTHERS):
            raise UsageError(f"{place.name}: a {self.kind}, which has no half for images and one for texts")
        if found["missing_keys"]:
            raise DataError(f"{place.name}: not {self.kind}'s weights: '{min(found['missing_keys'])}' is missing")
        check_finite(self.network.state_dict(), named=place.name)
        self.network.eval()
        config = self.network.config.to_dict()
        said = {key: value for key, value in config.items() if key not in ("_name_or_path", "transformers_version")}
        architecture = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]
        self.name = f"transformers/{self.kind}/{architecture}/{tensors_digest(self.network.state_dict())}"

    def half(self, medium: Medium) -> Any:
        """The model without what the other half alone needs; the rest is not copied."""
        half = copy.copy(self.network)
        half._modules = {name: part for name, part in half._modules.items() if not name.startswith(OTHERS[medium])}
        return half


class ImageHalf(nn.Module):
    """Prepared pictures, float [n, ...], to features [n, dim] of length 1. It stays in eval mode.

    Args:
        patches: whether pictures are [n, P, D + 3]: P patches, whether each is there, and how many lie below and
            beside one another, as of models that take pictures in any shape (NaFlex).
    """

    def __init__(self, network: Any, *, patches: bool) -> None:
        super().__init__()
        self.network, self.patches = network, patches
        self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(False)

    def forward(self, pictures: Tensor) -> Tensor:
        given = {"pixel_values": pictures}
        if self.patches:
            given = {
                "pixel_values": pictures[..., :-3],
                "pixel_attention_mask": pictures[..., -3].long(),
                "spatial_shapes": pictures[:, 0, -2:].long(),
            }
        return F.normalize(_rows(self.network.get_image_features(**given)), dim=1)


class TextHalf(nn.Module):
    """Token numbers and their mask, int64 [n, 2, L], to features [n, dim].

    Args:
        masked: whether the mask is heeded.
    """

    def __init__(self, network: Any, *, masked: bool) -> None:
        super().__init__()
        self.network, self.masked = network, masked

    def forward(self, tokens: Tensor) -> Tensor:
        numbers, mask = tokens.unbind(dim=1)
        more = {"attention_mask": mask} if self.masked else {}
        return _rows(self.network.get_text_features(input_ids=numbers, **more))


def _rows(given: Any) -> Tensor:
    """The projected features, which lie among others since version 5 of the library."""
    rows: Tensor = given if isinstance(given, Tensor) else given.pooler_output
    return rows


def _images(place: _Place, model: Model, options: TransformersOptions) -> Encoder:
    processor = place.read("AutoImageProcessor")

    def picture(item: ImageItem) -> Tensor:
        """One by one, so that a picture never depends on others."""
        found = processor(images=[item.open()], return_tensors="pt")
        pixels: Tensor = found["pixel_values"][0]
        if "spatial_shapes" not in found:
            return pixels
        mask, shape = found["pixel_attention_mask"][0], found["spatial_shapes"][0]
        return torch.cat([pixels, mask[:, None], shape.expand(len(pixels), 2)], dim=1)

    def prepare(items: Sequence[ImageItem]) -> Tensor:
        return torch.stack([picture(item) for item in items]) if items else torch.empty(0, *blank.shape)

    blank = place.attempt(lambda: picture(_Blank()))
    module = ImageHalf(model.half("image"), patches=blank.ndim == 2)
    how = json.dumps(processor.to_dict(), sort_keys=True, default=str)
    return Encoder(
        prepare=prepare,
        module=module,
        dim=_width(place, module, blank[None]),
        fingerprint=f"{model.name}/image/{hashlib.sha256(how.encode()).hexdigest()[:16]}",
        trainable=options.trainable,
        space=model.name,
    )


class _Blank(ImageItem):
    """A grey picture, for shapes."""

    def __init__(self) -> None:
        super().__init__("blank", Path("blank"))

    def open(self, side: int | None = None) -> Any:
        from PIL import Image

        return Image.new("RGB", (32, 32), "grey")


def _texts(place: _Place, model: Model, options: TransformersOptions) -> Encoder:
    tokenizer = place.read("AutoTokenizer")
    half = model.half("text")
    most = min(_places(half), tokenizer.model_max_length, options.max_tokens or _places(half))
    # SigLIP models were trained without a mask, on texts that all have the same length.
    masked = "siglip" not in half.config.model_type and "attention_mask" in tokenizer.model_input_names
    how: dict[str, Any] = {"truncation": True, "return_attention_mask": True}

    def prepare(items: Sequence[TextItem]) -> Tensor:
        if not items:
            return torch.zeros(0, 2, most, dtype=torch.int32)
        texts = [item.text for item in items]
        found = tokenizer(texts, padding="max_length", max_length=most, return_tensors="pt", **how)
        return torch.stack([found["input_ids"], found["attention_mask"]], dim=1).int()

    def cut(text: str) -> bool:
        return bool(len(tokenizer(text, max_length=most + 1, **how)["input_ids"]) > most)

    module = TextNetwork(TextHalf(half, masked=masked))
    return Encoder(
        prepare=prepare,
        module=module,
        dim=_width(place, module, place.attempt(lambda: prepare([TextItem("", "a")]))),
        fingerprint=f"{model.name}/text/{spelling(tokenizer)}/{tokenizer.padding_side}/{most}",
        trainable=options.trainable,
        cut=cut,
        space=model.name,
    )


def _places(half: Any) -> int:
    """How many tokens there are places for; RoBERTa's kin keep the first few numbers for padding."""
    for name, part in half.named_modules():
        if name.rpartition(".")[2] in ("position_embedding", "position_embeddings") and isinstance(part, nn.Embedding):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    return int(half.config.text_config.max_position_embeddings)


def _width(place: _Place, module: nn.Module, inputs: Tensor) -> int:
    """How many values a row has."""
    try:
        with torch.no_grad():
            return int(module(inputs).shape[1])
    except Exception as error:
        raise UsageError(f"{place.name}: its halves do not take pictures and texts: {one_line(error)}") from None
