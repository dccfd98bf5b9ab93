"""`wordcnn`: the paper's text encoder, word vectors and convolutions over windows of several widths (Kim, 2014)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import Encoder, EncoderContext, TextItem, UsageError
from dckt_plugins.encoders.catalogue import WordCNNOptions
from dckt_plugins.encoders.segmenters import segmenter_of
from dckt_plugins.encoders.word_vectors import state_of, vectors_for
from dckt_plugins.encoders.words import READING, Vocabulary

WIDEST = 100
"""Words of a window at most."""

INITIAL = 0.025
"""Initial weights are uniform in +-INITIAL, small as in Kim's code (0.01, beside longer vectors). The normalisation
after the convolutions takes their scale out again, so that small weights are weights that learn fast: with He et al.'s
initialisation the layers above know small collections by heart before the windows learn anything (docs/results.md)."""

PADDING, UNKNOWN, FIRST = 0, 1, 2
"""Word numbers: after the end of a text, a word without a vector, the first word with one."""


class WordCNN(nn.Module):
    """Word numbers [n, L] (0 after the end) to [n, dim]: convolution, ReLU and max over time for each window width.

    Vectors are scaled to length 1, as pretrained ones differ in length, and the maximum over time would see little but
    the longest. A word without a vector counts as their mean. Padding has no influence: a window counts where all its
    words are inside the text, or where it begins with the text if that is shorter; a text without words gives zeros.
    """

    vectors: Tensor

    def __init__(self, vectors: Tensor, windows: Sequence[int], dim: int, generator: torch.Generator) -> None:
        super().__init__()
        size = vectors.shape[1]
        vectors = F.normalize(vectors, dim=1)
        mean = vectors.mean(dim=0, keepdim=True) if len(vectors) else vectors.new_zeros(1, size)
        self.register_buffer("vectors", torch.cat([vectors.new_zeros(1, size), mean, vectors]))
        shares = [dim // len(windows) + (n < dim % len(windows)) for n in range(len(windows))]
        self.windows = tuple(windows)
        self.convolutions = nn.ModuleList(
            _convolution(size, share, width, generator) for share, width in zip(shares, windows, strict=True)
        )

    def forward(self, words: Tensor) -> Tensor:
        lengths = (words != PADDING).sum(dim=1)
        longest = max(int(lengths.max()) if len(words) else 0, *self.windows)
        words = F.pad(words, (0, max(0, longest - words.shape[1])))[:, :longest]
        rows = self.vectors[words].transpose(1, 2)
        pooled = []
        for convolution, width in zip(self.convolutions, self.windows, strict=True):
            responses = convolution(rows).relu()
            last = (lengths - width).clamp_min(0)
            inside = torch.arange(responses.shape[2], device=words.device) <= last[:, None]
            pooled.append((responses * inside[:, None]).amax(dim=2))
        return torch.cat(pooled, dim=1) * (lengths > 0)[:, None]


def _convolution(size: int, share: int, width: int, generator: torch.Generator) -> nn.Conv1d:
    convolution = nn.Conv1d(size, share, width, device="meta").to_empty(device="cpu")
    nn.init.uniform_(convolution.weight, -INITIAL, INITIAL, generator=generator)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def build(options: WordCNNOptions, context: EncoderContext) -> Encoder:
    """The encoder; see `catalogue.WordCNNOptions`.

    Raises:
        UsageError: the windows are no widths.
        DataError: the file of word vectors cannot be used.
    """
    windows = parse_windows(options.windows, options.dim)
    segmenter = segmenter_of(options.segmenter, "wordcnn")
    reading = f"{READING}/{segmenter.name}" if segmenter else READING
    known, vectors = vectors_for(context, options.vectors, options.vector_size, segmenter)
    vocabulary = Vocabulary(known, segmenter)

    def prepare(items: Sequence[TextItem]) -> Tensor:
        table = torch.zeros(len(items), options.max_words, dtype=torch.int32)
        for row, item in enumerate(items):
            words = vocabulary.words(item.text, options.max_words)
            numbers = [FIRST + vocabulary.number(word) if vocabulary.knows(word) else UNKNOWN for word in words]
            table[row, : len(words)] = torch.tensor(numbers, dtype=torch.int32)
        return table

    module = WordCNN(vectors, windows, options.dim, context.generator("wordcnn"))
    state = state_of(context, known, vectors.shape[1], module)
    return Encoder(
        prepare=prepare,
        module=module,
        dim=options.dim,
        fingerprint=f"wordcnn/{reading}/{options.windows}/{options.max_words}/{state['digest']}",
        trainable=options.trainable,
        state=state,
        words=lambda text: [(word, vocabulary.knows(word)) for word in vocabulary.words(text)],
        learns_words=options.vectors is None,
        cut=lambda text: vocabulary.longer(text, options.max_words),
    )


def parse_windows(text: str, dim: int) -> list[int]:
    """`"2,3,4,5"` as widths; each takes its share of `dim` values."""
    try:
        windows = [int(width) for width in text.split(",")]
    except ValueError:
        windows = []
    if not windows or min(windows) < 1 or max(windows) > WIDEST or len(set(windows)) < len(windows):
        raise UsageError(
            f"option 'windows' of encoder 'wordcnn' takes different widths from 1 to {WIDEST} such as 2,3,4,5, "
            f"not '{text}'"
        )
    if len(windows) > dim:
        raise UsageError(f"option 'dim' of encoder 'wordcnn': {dim} values are too few for {len(windows)} windows")
    return windows
