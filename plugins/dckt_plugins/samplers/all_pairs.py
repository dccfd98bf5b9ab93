"""`all`: every target pair in every iteration, no curriculum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from dckt_core import NoOptions, SamplerContext, SamplerState, Selection


class AllPairs:
    """Keeps nothing between iterations."""

    def __init__(self, options: NoOptions, context: SamplerContext) -> None: ...

    def select(self, state: SamplerState, /) -> Selection:
        return Selection(indices=torch.arange(len(state.labels)))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...
