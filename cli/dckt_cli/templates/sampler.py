"""`my-plugin`: a curriculum sampler for dckt. As it stands, easy pairs first; put your own choice here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Le

from dckt_core import SamplerSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import SamplerContext, SamplerState, Selection


@dataclass(frozen=True)
class Options:
    """What `--sampler-opt` takes."""

    first: Annotated[float, Gt(0), Le(1), "share of the pairs in the first iteration; the last one takes all"] = 0.5


@hookimpl
def dckt_samplers() -> list[SamplerSpec[Any]]:
    return [
        SamplerSpec(
            name="my-plugin",
            summary="pairs of low loss first, a growing share",
            options=Options,
            build=EasyFirst,
            api="1.0",
        )
    ]


class EasyFirst:
    """Asked once an iteration. Draw random numbers from `state.generator` alone."""

    def __init__(self, options: Options, context: SamplerContext) -> None:
        self.first = options.first
        self.steps = max(1, context.iterations - 1)

    def select(self, state: SamplerState, /) -> Selection:
        from dckt_core import Selection

        losses = state.target_losses()  # [Q], one for each target training pair
        share = self.first + (1 - self.first) * (state.iteration - 1) / self.steps
        count = max(1, round(share * len(losses)))
        return Selection(indices=losses.argsort(stable=True)[:count], details={"loss": losses})

    def state_dict(self) -> dict[str, Any]:
        """What `select` remembers from one iteration to the next, as JSON can hold it; nothing here."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...
