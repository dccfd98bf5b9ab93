"""`sentence-transformers`: sentence embeddings of any transformer in that library's form."""

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
    """What `--text-encoder-opt` takes."""

    model: Annotated[str, "a folder with a saved model, or a published name (downloaded once by the library)"] = (
        "sentence-transformers/all-MiniLM-L6-v2"
    )
    max_tokens: Annotated[
        int, Ge(8), Le(32_768), "tokens of a text that are read, at most the model's own; the rest is left out"
    ] = 256


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="sentence-transformers",
            modality="text",
            summary="sentence embeddings of a transformer (extra: sentence-transformers)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.sentence_transformers_network import build

    return build(options, context)
