"""`mean-vectors`: the mean of a text's word vectors, the plainest of text encoders and a strong baseline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import Encoder, EncoderContext, TextItem
from dckt_plugins.encoders.catalogue import MeanVectorsOptions
from dckt_plugins.encoders.words import state_of, vectors_for, words_of

PADDING, FIRST = 0, 1
"""Word numbers: after the end of a text, the first word."""


class MeanVectors(nn.Module):
    """Word numbers [n, L] (0 after the end) to the means of their vectors [n, d]; a text without words gives zeros."""

    def __init__(self, vectors: Tensor, normalize: bool) -> None:
        super().__init__()
        table = torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors])
        self.bag = nn.EmbeddingBag.from_pretrained(table, freeze=True, mode="mean", padding_idx=PADDING)
        self.normalize = normalize

    def forward(self, words: Tensor) -> Tensor:
        means: Tensor = self.bag(words)
        return F.normalize(means, dim=1) if self.normalize else means


def build(options: MeanVectorsOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.MeanVectorsOptions`.

    Raises:
        DataError: the file of word vectors cannot be used.
    """
    known, vectors = vectors_for(context, options.vectors, options.vector_size)
    numbers = {word: FIRST + row for row, word in enumerate(known)}

    def prepare(items: Sequence[TextItem]) -> Tensor:
        table = torch.full((len(items), options.max_words), PADDING, dtype=torch.int32)
        for row, item in enumerate(items):
            words = [numbers[word] for word in words_of(item.text, options.max_words) if word in numbers]
            table[row, : len(words)] = torch.tensor(words, dtype=torch.int32)
        return table

    module = MeanVectors(vectors, options.normalize)
    state = state_of(context, known, vectors.shape[1], module)
    return Encoder(
        prepare=prepare,
        module=module,
        dim=vectors.shape[1],
        fingerprint=f"mean-vectors/{options.max_words}/{options.normalize}/{state['digest']}",
        state=state,
    )
