"""`wordcnn`: the paper's text encoder. Word vectors, convolutions over windows of several widths, max over time."""

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
    dim: Annotated[int, Ge(4), "values of a text, shared out over the windows"] = 300
    windows: Annotated[str, "widths of the windows, in words, with commas between"] = "2,3,4,5"
    max_words: Annotated[int, Ge(1), Le(100_000), "words of a text that are read; the rest is left out"] = 200
    trainable: Annotated[bool, "train the convolutions with the text path; False leaves them random"] = True


@hookimpl
def dckt_encoders() -> Iterable[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="wordcnn",
            modality="text",
            summary="Word CNN over Word2Vec vectors (the method's own)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: EncoderContext) -> Encoder:
    from dckt_plugins.encoders.wordcnn_network import build

    return build(options, context)
