"""The domain discriminators of `adversarial`: what they compute and how their gradient is reversed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ReverseGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -factor."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradient, None


def reversal_factor(progress: float, strength: float, gamma: float) -> float:
    """0 at the start, near `strength` at the end: strength * (2 / (1 + exp(-gamma * progress)) - 1)."""
    return strength * (2 / (1 + math.exp(-gamma * progress)) - 1)


class Discriminators(nn.Module):
    """One small network a layer that tells source rows from target rows.

    Args:
        layers: width d of each layer, by name.
        hidden: width of the hidden layer.
        strength, gamma: the schedule of the reversed gradient, see `reversal_factor`.
        generator: for the initial weights (He normal, bias 0).
    """

    def __init__(
        self, layers: Mapping[str, int], *, hidden: int, strength: float, gamma: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.strength, self.gamma = strength, gamma
        self.networks = nn.ModuleDict(
            {name: nn.Sequential(_linear(d, hidden), nn.ReLU(), _linear(hidden, 1)) for name, d in layers.items()}
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(module.bias)

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        """Binary cross-entropy, nats, of each discriminator; both domains weigh the same, whatever their counts.

        log 2 where the domains cannot be told apart. The discriminators learn to lower it, the networks to raise it.
        """
        factor = reversal_factor(progress, self.strength, self.gamma)
        values = {}
        for name, (source, target) in layers.items():
            network = self.networks[name]
            logits = [network(ReverseGradient.apply(rows, factor)).squeeze(1) for rows in (source, target)]
            values[name] = (F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()) / 2
        return values


def _linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer without values: the default ones would be drawn from the global generator, and in vain."""
    return nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")
