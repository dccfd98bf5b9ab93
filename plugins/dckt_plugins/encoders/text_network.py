"""How a library's text network becomes a module: tokens to unit rows; and how a tokenizer is named."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import torch.nn.functional as F
from torch import Tensor, nn


class TextNetwork(nn.Module):
    """Tokens, int32 [n, ...], to features [n, dim] of length 1.

    It stays in eval mode, as `ImageNetwork` does: where it is trained, dropout draws no random numbers.

    Args:
        network: tokens, int64, to rows [n, dim].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def train(self, mode: bool = True) -> Self:
        return super().train(False)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.normalize(self.network(tokens.long()), dim=1)


def spelling(tokenizer: Any) -> str:
    """Names a tokenizer of transformers by how it spells: 16 hexadecimal digits."""
    said = tokenizer.backend_tokenizer.to_str() if tokenizer.is_fast else str(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]
