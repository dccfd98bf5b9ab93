"""`self-paced`: the pairs that the target network itself finds easiest, more of them each iteration.

Self-paced learning (Kumar et al., 2010) with the share of kept pairs as its pace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Le

from dckt_core import SamplerSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Sampler, SamplerContext, SamplerState, Selection


@dataclass(frozen=True)
class Options:
    """What `--sampler-opt` takes."""

    start: Annotated[float, Gt(0), Le(1), "share of the pairs kept in iteration 1; all are kept in the last"] = 0.5


@hookimpl
def dckt_samplers() -> Iterable[SamplerSpec[Any]]:
    return [
        SamplerSpec(
            name="self-paced",
            summary="the pairs of lowest loss under the target network, a growing share",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def kept_share(iteration: int, iterations: int, start: float) -> float:
    """From `start` in iteration 1 to 1 in the last, in equal steps; `start` throughout where there is only one."""
    return start if iterations == 1 else start + (1 - start) * (iteration - 1) / (iterations - 1)


def _build(options: Options, context: SamplerContext) -> Sampler:
    import torch

    from dckt_core import Selection

    class SelfPaced:
        def select(self, state: SamplerState, /) -> Selection:
            losses = state.target_losses()
            share = kept_share(state.iteration, context.iterations, options.start)
            count = max(1, round(share * len(losses)))
            easiest = torch.argsort(losses, stable=True)[:count]
            return Selection(indices=easiest.sort().values, details={"loss": losses})

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...

    return SelfPaced()
