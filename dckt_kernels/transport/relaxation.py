"""How far beyond Sinkhorn's step to go: over-relaxation whose factor is read off the errors (Lehmann et al., 2021).

Plain steps shrink the error by q a round, in the end; steps w times as long shrink it by w - 1 at best, which is
reached at w = 2 / (1 + sqrt(1 - q)). While w is below that, the rate s that is seen tells q, as in successive
over-relaxation (Young, 1954): (s + w - 1)^2 = s w^2 q. Where errors grow, w goes back towards 1.
"""

from __future__ import annotations

import math

WINDOW = 10
"""Rounds after which the rate is read, from the later half of them."""
LARGEST = 1.9
SLOWEST = 0.9999
CLOSE = 1e-3
RETREAT = 0.7


class Relaxation:
    """The factor w of the next round; plain steps at first.

    Attributes:
        factor: in [1, LARGEST].
    """

    def __init__(self) -> None:
        self.factor = 1.0
        self._errors: list[float] = []

    def saw(self, error: float) -> None:
        """Take note of a round's error, > 0, made with the present factor."""
        self._errors.append(error)
        if len(self._errors) < WINDOW:
            return
        half = WINDOW // 2
        rate = (self._errors[-1] / self._errors[-1 - half]) ** (1 / half) if self._errors[-1 - half] > 0 else 0.0
        self._errors.clear()
        if rate >= 1 and self.factor > 1:
            self.factor = 1 + (self.factor - 1) * RETREAT
            return
        rate = min(rate, SLOWEST)
        if rate <= self.factor - 1 + CLOSE:  # as good as it gets with this factor, or better
            return
        q = min((rate + self.factor - 1) ** 2 / (rate * self.factor**2), SLOWEST)
        self.factor = min(2 / (1 + math.sqrt(1 - q)), LARGEST)
