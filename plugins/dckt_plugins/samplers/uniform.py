"""`uniform`: the control of `ap-progressive`. As many pairs as that would keep, chosen blindly.

It asks the source network as `ap-progressive` does, draws what that would have kept, and takes over no more than the
count. The first iteration keeps exactly as many; in later ones networks and draws have gone other ways, and the counts
agree in expectation only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dckt_core import SamplerContext, SamplerState, Selection
from dckt_plugins.samplers.catalogue import KeepRateOptions
from dckt_plugins.samplers.consistency import domain_consistency
from dckt_plugins.samplers.keep_rate import draw, keep_rate


class Uniform:
    """Draws a number of pairs, then the pairs; keeps nothing between iterations."""

    def __init__(self, options: KeepRateOptions, context: SamplerContext) -> None:
        self._options, self._iterations = options, context.iterations

    def select(self, state: SamplerState, /) -> Selection:
        ap = domain_consistency(state.target_by_source(), state.labels)
        adaptive = keep_rate(ap, state, self._options, self._iterations)
        count = max(1, len(draw(adaptive, state.generator)))  # where none is kept, ap-progressive takes one
        rows = torch.randperm(len(ap), generator=state.generator)[:count].sort().values
        rate = torch.full_like(ap, count / len(ap))
        return Selection(indices=rows, details={"ap": ap / 2, "keep_rate": rate})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...
