"""`torchvision`: the last features before the classes, of any of torchvision's classification models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from dckt_core import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Encoder, EncoderContext


@dataclass(frozen=True)
class Options:
    """What `--encoder-opt` takes."""

    model: Annotated[str, "torchvision's name of a classification model, such as resnet50 or vit_b_16"] = "resnet50"
    weights: Annotated[str, "imagenet (downloaded by torchvision), none (random), or a file of weights"] = "imagenet"
    size: Annotated[
        Annotated[int, Ge(32), Le(2048)] | None, "pixels of a side of the square input; by default the model's own"
    ] = None
    trainable: Annotated[bool, "train it along, a copy for each domain, instead of caching its features"] = False


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="torchvision",
            modality="image",
            summary="any torchvision classification model, up to its last features",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.torchvision_network import build

    return build(options, context)
