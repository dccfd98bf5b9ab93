"""`ap-progressive`: the method's curriculum. Pairs that the source network ranks well come first, all come later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Gt, Le

from dckt_core import SamplerSpec, hookimpl
from dckt_core.base.progress import logger

if TYPE_CHECKING:
    from dckt_core import Sampler, SamplerContext, SamplerState, Selection


@dataclass(frozen=True)
class Options:
    """What `--sampler-opt` takes."""

    rule: Annotated[Literal["paper", "code"], "keep rate as the paper or as the authors' release has it"] = "paper"
    alpha: Annotated[float, Gt(0), Le(1), "upper bound of the probability to keep a pair"] = 1.0


@hookimpl
def dckt_samplers() -> Iterable[SamplerSpec[Any]]:
    return [
        SamplerSpec(
            name="ap-progressive",
            summary="adaptive by the source network's average precision (the method's own)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: SamplerContext) -> Sampler:
    from dckt_core import Selection
    from dckt_plugins.samplers.consistency import domain_consistency
    from dckt_plugins.samplers.keep_rate import draw, keep_probability

    class APProgressive:
        def select(self, state: SamplerState, /) -> Selection:
            ap = domain_consistency(state.target_by_source(), state.labels)
            rate = keep_probability(ap, state.iteration, options.rule, options.alpha)
            rows = draw(rate, state.generator)
            if len(rows) == 0:
                logger.warning("iteration %d: no pair was kept; the one of highest AP stands in", state.iteration)
                rows = ap.argmax().reshape(1)
            return Selection(indices=rows, details={"ap": ap, "keep_rate": rate})

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...

    return APProgressive()
