"""`mean-vectors`: the mean of a text's word vectors, the plainest of text encoders and a strong baseline."""

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

    vectors: Annotated[
        str | None, "a file of word vectors in word2vec format (.bin, .txt, .gz); by default Word2Vec learns them here"
    ] = None
    vector_size: Annotated[int, Ge(1), Le(4096), "values of a word vector learnt here"] = 300
    max_words: Annotated[int, Ge(1), Le(100_000), "words of a text that are read; the rest is left out"] = 200
    normalize: Annotated[bool, "scale each text's mean to length 1"] = True


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="mean-vectors",
            modality="text",
            summary="mean of a text's word vectors, from a file or Word2Vec",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.mean_vectors_network import build

    return build(options, context)
