"""A distribution whose options are wrong in four ways."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Le

from dckt_core import DiscrepancySpec, hookimpl


@dataclass(frozen=True)
class BadDefault:
    alpha: Annotated[float, Gt(0), Le(1), "share"] = 2.0


@dataclass(frozen=True)
class NoDefault:
    alpha: float


@dataclass(frozen=True)
class BadHint:
    alpha: "Missing" = 1.0  # noqa: F821


class NoDataclass:
    alpha: float = 1.0


@hookimpl
def dckt_discrepancies():
    def build(options, context):
        return lambda source, target: options.alpha * (source.mean(0) - target.mean(0)).square().sum()

    return [
        DiscrepancySpec(
            name="bad-default", summary="a default out of its range", options=BadDefault, build=build, api="1.0"
        ),
        DiscrepancySpec(
            name="no-default", summary="an option with no default", options=NoDefault, build=build, api="1.0"
        ),
        DiscrepancySpec(name="bad-hint", summary="a type that does not exist", options=BadHint, build=build, api="1.0"),
        DiscrepancySpec(
            name="no-dataclass", summary="options of a plain class", options=NoDataclass, build=build, api="1.0"
        ),
        DiscrepancySpec(name="Bad Name!", summary="a name with a blank", build=build, api="1.0"),
    ]
