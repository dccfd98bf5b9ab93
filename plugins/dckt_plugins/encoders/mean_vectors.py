"""`mean-vectors`: the weighted mean of a text's word vectors, the plainest of text encoders and a strong baseline."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import Encoder, EncoderContext, TextItem
from dckt_plugins.encoders.catalogue import MeanVectorsOptions
from dckt_plugins.encoders.segmenters import segmenter_of
from dckt_plugins.encoders.word_vectors import state_of, vectors_for
from dckt_plugins.encoders.word_weights import WEIGHTS
from dckt_plugins.encoders.words import READING, Vocabulary

PADDING, FIRST = 0, 1
"""Word numbers: after the end of a text, the first word."""


class MeanVectors(nn.Module):
    """Word numbers [n, L] (0 after the end) to (1 / l) sum of a_w v_w over the l words of a text, [n, d].

    A text without words gives zeros.

    Args:
        vectors: v, of the words from `FIRST` on, [V, d].
        weights: a, [V].
        normalize: scale each row to length 1.
    """

    vectors: Tensor
    weights: Tensor

    def __init__(self, vectors: Tensor, weights: Tensor, normalize: bool) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.cat([vectors.new_zeros(1, vectors.shape[1]), vectors]))
        self.register_buffer("weights", torch.cat([weights.new_zeros(1), weights]))
        self.normalize = normalize

    def forward(self, words: Tensor) -> Tensor:
        words = words.long()
        sums = F.embedding_bag(words, self.vectors, mode="sum", per_sample_weights=self.weights[words])
        means = sums / (words != PADDING).sum(dim=1, keepdim=True).clamp_min(1)
        return F.normalize(means, dim=1) if self.normalize else means


def build(options: MeanVectorsOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.MeanVectorsOptions`.

    Weights are learnt from the training texts and kept with the run, beside the vectors.

    Raises:
        DataError: the file of word vectors cannot be used.
    """
    segmenter = segmenter_of(options.segmenter, "mean-vectors")
    reading = f"{READING}/{segmenter.name}" if segmenter else READING
    known, vectors = vectors_for(context, options.vectors, options.vector_size, segmenter)
    vocabulary = Vocabulary(known, segmenter)
    if context.state is None:
        weights = WEIGHTS[options.weights](
            [vocabulary.read(text, options.max_words) for text in context.texts], len(known)
        )
    else:
        weights = torch.zeros(len(known))  # lie with the module's weights, as the vectors do
    module = MeanVectors(F.normalize(vectors, dim=1) if options.unit else vectors, weights, options.normalize)

    def prepare(items: Sequence[TextItem]) -> Tensor:
        table = torch.full((len(items), options.max_words), PADDING, dtype=torch.int32)
        for row, item in enumerate(items):
            words = vocabulary.read(item.text, options.max_words)
            table[row, : len(words)] = torch.tensor(words, dtype=torch.int32) + FIRST
        return table

    def cut(text: str) -> bool:
        return vocabulary.longer(text, options.max_words) or len(vocabulary.read(text)) > options.max_words

    state = state_of(context, known, vectors.shape[1], module)
    return Encoder(
        prepare=prepare,
        module=module,
        dim=vectors.shape[1],
        fingerprint=f"mean-vectors/{reading}/{options.max_words}/{options.normalize}/{state['digest']}",
        state=state,
        words=lambda text: [(word, bool(vocabulary.numbers(word))) for word in vocabulary.words(text)],
        learns_words=options.vectors is None,
        cut=cut,
    )
