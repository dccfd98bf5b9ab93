"""`open-clip`: image embeddings of a CLIP model of the open_clip library."""

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

    model: Annotated[str, "open_clip's name of a model"] = "ViT-B-32"
    weights: Annotated[
        str, "a tag of published weights (downloaded by open_clip), none (random), or a file of weights"
    ] = "laion2b_s34b_b79k"
    size: Annotated[
        Annotated[int, Ge(32), Le(2048)] | None, "pixels of a side of the square input; by default the model's own"
    ] = None
    trainable: Annotated[bool, "train it along, a copy for each domain, instead of caching its features"] = False


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="open-clip",
            modality="image",
            summary="image embeddings of a CLIP model (extra: open-clip)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.open_clip_network import build

    return build(options, context)
