"""How a library's text network becomes a module: tokens to unit rows."""

from __future__ import annotations

from typing import Self

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
