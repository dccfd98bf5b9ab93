"""`adversarial`: a domain discriminator at each layer, played against by gradient reversal (Ganin et al., 2016).

The journal version of the method puts such discriminators on image fc7, text fc7 and common fc9 in place of the MMD.
Set the weights of the other layers to 0 for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core import DiscrepancyContext, undrawn_linear
from dckt_plugins.discrepancies.catalogue import AdversarialOptions


def build(options: AdversarialOptions, context: DiscrepancyContext) -> Discriminators:
    return Discriminators(
        context.layers,
        hidden=options.hidden,
        strength=options.strength,
        gamma=options.gamma,
        generator=context.generator("discriminators"),
    )


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
            {
                name: nn.Sequential(undrawn_linear(d, hidden), nn.ReLU(), undrawn_linear(hidden, 1))
                for name, d in layers.items()
            }
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
