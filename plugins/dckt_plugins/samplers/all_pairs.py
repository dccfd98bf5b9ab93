"""`all`: every target pair in every iteration, no curriculum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dckt_core import SamplerSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Sampler, SamplerContext, SamplerState, Selection
    from dckt_core.contract.specs import NoOptions


@hookimpl
def dckt_samplers() -> Iterable[SamplerSpec[Any]]:
    return [SamplerSpec(name="all", summary="every pair in every iteration (no curriculum)", build=_build, api="1.0")]


def _build(options: NoOptions, context: SamplerContext) -> Sampler:
    import torch

    from dckt_core import Selection

    class AllPairs:
        def select(self, state: SamplerState, /) -> Selection:
            return Selection(indices=torch.arange(len(state.labels)))

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...

    return AllPairs()
