"""`ap-progressive`: the method's curriculum. Pairs that the source network ranks well come first, all come later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dckt_core import SamplerContext, SamplerState, Selection, logger
from dckt_plugins.samplers.catalogue import KeepRateOptions
from dckt_plugins.samplers.consistency import domain_consistency
from dckt_plugins.samplers.keep_rate import draw, keep_rate


class APProgressive:
    """Draws each pair with the keep rate of its AP^q; keeps nothing between iterations.

    What it tells of a pair, `ap` in [0, 1], is the mean of both directions, half of AP^q.
    """

    def __init__(self, options: KeepRateOptions, context: SamplerContext) -> None:
        self._options, self._iterations = options, context.iterations

    def select(self, state: SamplerState, /) -> Selection:
        ap = domain_consistency(state.target_by_source(), state.labels)
        rate = keep_rate(ap, state, self._options, self._iterations)
        rows = draw(rate, state.generator)
        if len(rows) == 0:
            logger.warning("iteration %d: no pair was kept; the one of highest AP stands in", state.iteration)
            rows = ap.argmax().reshape(1)
        return Selection(indices=rows, details={"ap": ap / 2, "keep_rate": rate})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...
