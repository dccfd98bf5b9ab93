"""`vgg19`: the paper's image encoder, torchvision's network up to pool5, fc6 or fc7."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from dckt_core import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Encoder, EncoderContext


@dataclass(frozen=True)
class Options:
    """What `--encoder-opt` takes."""

    layer: Annotated[Literal["pool5", "fc6", "fc7"], "whose output is the feature row"] = "pool5"
    weights: Annotated[str, "imagenet (downloaded by torchvision), none (random), or a file of weights"] = "imagenet"
    size: Annotated[int, Ge(32), Le(2048), "pixels of a side of the square input"] = 224
    trainable: Annotated[bool, "train it along, a copy for each domain, instead of caching its features"] = False


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="vgg19",
            modality="image",
            summary="VGG19 up to pool5, fc6 or fc7 (the method's own)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.vgg19_network import build

    return build(options, context)
