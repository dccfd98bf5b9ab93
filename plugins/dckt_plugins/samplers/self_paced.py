"""`self-paced`: the pairs that the target network itself finds easiest, more of them each iteration.

Self-paced learning (Kumar et al., 2010) with the share of kept pairs as its pace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dckt_core import SamplerContext, SamplerState, Selection
from dckt_plugins.samplers.catalogue import SelfPacedOptions


class SelfPaced:
    """Keeps nothing between iterations."""

    def __init__(self, options: SelfPacedOptions, context: SamplerContext) -> None:
        self._start, self._iterations = options.start, context.iterations

    def select(self, state: SamplerState, /) -> Selection:
        losses = state.target_losses()
        share = kept_share(state.iteration, self._iterations, self._start)
        count = max(1, round(share * len(losses)))
        easiest = torch.argsort(losses, stable=True)[:count]
        return Selection(indices=easiest.sort().values, details={"loss": losses})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...


def kept_share(iteration: int, iterations: int, start: float) -> float:
    """From `start` in iteration 1 to 1 in the last, in equal steps; `start` throughout where there is only one."""
    return start if iterations == 1 else start + (1 - start) * (iteration - 1) / (iterations - 1)
