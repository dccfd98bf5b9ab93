"""The samplers in the box: their names and options. What builds them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from dckt_core import SamplerSpec, hookimpl


@dataclass(frozen=True)
class KeepRateOptions:
    """What `--sampler-opt` takes: of `ap-progressive`, and of `uniform`, which keeps as many pairs."""

    rule: Annotated[
        Literal["paper", "code", "share"],
        "keep rate as the paper or as the authors' release has it; or the best pairs of each class, a growing share",
    ] = "paper"
    alpha: Annotated[float, Gt(0), Le(1), "upper bound of the probability to keep a pair"] = 1.0


@dataclass(frozen=True)
class SelfPacedOptions:
    """What `--sampler-opt` takes."""

    start: Annotated[float, Gt(0), Le(1), "share of the pairs kept in iteration 1; all are kept in the last"] = 0.5
    of: Annotated[Literal["all", "class"], "whether the share is of all pairs, or of each class by itself"] = "all"


@dataclass(frozen=True)
class ClassProgressiveOptions:
    """What `--sampler-opt` takes."""

    drop: Annotated[float, Ge(0), Lt(1), "share of each domain's classes left out in iteration 1; none in the last"] = (
        0.3
    )


@hookimpl
def dckt_samplers() -> Iterable[SamplerSpec[Any]]:
    return [
        SamplerSpec(
            name="ap-progressive",
            summary="adaptive by the source network's average precision (the method's own)",
            options=KeepRateOptions,
            build="dckt_plugins.samplers.ap_progressive:APProgressive",
            api="1.0",
        ),
        SamplerSpec(
            name="all",
            summary="every pair in every iteration (no curriculum)",
            build="dckt_plugins.samplers.all_pairs:AllPairs",
            api="1.0",
        ),
        SamplerSpec(
            name="uniform",
            summary="as many pairs as ap-progressive keeps, chosen at random (its control)",
            options=KeepRateOptions,
            build="dckt_plugins.samplers.uniform:Uniform",
            api="1.0",
        ),
        SamplerSpec(
            name="self-paced",
            summary="the pairs of lowest loss under the target network, a growing share of all or of each class",
            options=SelfPacedOptions,
            build="dckt_plugins.samplers.self_paced:SelfPaced",
            api="1.0",
        ),
        SamplerSpec(
            name="class-progressive",
            summary="leaves out the classes farthest from the other domain, fewer each iteration",
            options=ClassProgressiveOptions,
            build="dckt_plugins.samplers.class_progressive:ClassProgressive",
            api="1.0",
        ),
    ]
