"""`timm`: the pooled features of any image model of the timm library."""

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

    model: Annotated[str, "timm's name of a model, such as resnet50.a1_in1k or vit_base_patch16_224"] = (
        "resnet50.a1_in1k"
    )
    weights: Annotated[str, "pretrained (downloaded by timm), none (random), or a file of weights"] = "pretrained"
    size: Annotated[
        Annotated[int, Ge(32), Le(2048)] | None, "pixels of a side of the square input; by default the model's own"
    ] = None
    trainable: Annotated[bool, "train it along, a copy for each domain, instead of caching its features"] = False


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="timm",
            modality="image",
            summary="any image model of timm, pooled features (extra: timm)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.timm_network import build

    return build(options, context)
