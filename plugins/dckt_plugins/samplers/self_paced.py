"""`self-paced`: the pairs that the target network itself finds easiest, more of them each iteration.

Self-paced learning (Kumar et al., 2010) with the share of kept pairs as its pace, of all pairs or of each class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dckt_core import SamplerContext, SamplerState, Selection
from dckt_plugins.samplers.catalogue import SelfPacedOptions
from dckt_plugins.samplers.keep_rate import keep_share


class SelfPaced:
    """Keeps nothing between iterations."""

    def __init__(self, options: SelfPacedOptions, context: SamplerContext) -> None:
        self._options, self._iterations = options, context.iterations

    def select(self, state: SamplerState, /) -> Selection:
        losses = state.target_losses()
        share = kept_share(state.iteration, self._iterations, self._options.start)
        if self._options.of == "class":
            easiest = keep_share(-losses, state.labels, share).nonzero().squeeze(1)
        else:
            count = max(1, round(share * len(losses)))
            easiest = torch.argsort(losses, stable=True)[:count].sort().values
        return Selection(indices=easiest, details={"loss": losses})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...


def kept_share(iteration: int, iterations: int, start: float) -> float:
    """From `start` in iteration 1 to 1 in the last, in equal steps; `start` throughout where there is only one."""
    return start if iterations == 1 else start + (1 - start) * (iteration - 1) / (iterations - 1)
