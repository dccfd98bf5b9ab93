"""`precomputed-image`, `precomputed-text`: features that lie in a file, whatever computed them, by the pairs' ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from dckt_core import EncoderSpec, hookimpl
from dckt_core.contract.specs import Modality

if TYPE_CHECKING:
    from dckt_core import Encoder, EncoderContext


@dataclass(frozen=True)
class Options:
    """What `--encoder-opt` and `--text-encoder-opt` take."""

    target: Annotated[str | None, "file of the target's features: .npz, .npy, .safetensors or .mat"] = None
    source: Annotated[str | None, "file of the source's features; may be the same one"] = None
    target_ids: Annotated[
        str | None, "whose the rows are, in their order: the manifest (.jsonl), or a text file with an id a line"
    ] = None
    source_ids: Annotated[str | None, "the same for the source's file"] = None
    key: Annotated[
        str | None, "array with the features where a file holds several; a,b for rows of a, then rows of b"
    ] = None


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="precomputed-image",
            modality="image",
            summary="image features from a file, by pair",
            options=Options,
            build=_builder("image"),
            api="1.0",
        ),
        EncoderSpec(
            name="precomputed-text",
            modality="text",
            summary="text features from a file, by pair",
            options=Options,
            build=_builder("text"),
            api="1.0",
        ),
    ]


def _builder(modality: Modality) -> Callable[[Options, EncoderContext], Encoder]:
    def build(options: Options, context: EncoderContext) -> Encoder:
        from dckt_plugins.encoders.precomputed_lookup import build

        return build(options, modality)

    return build
