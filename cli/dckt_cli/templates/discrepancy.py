"""`my-plugin`: a discrepancy for dckt. As it stands, the distance of the domains' means; put your own measure here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from dckt_core import DiscrepancySpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import DiscrepancyContext


@dataclass(frozen=True)
class Options:
    """What `--discrepancy-opt` takes."""

    power: Annotated[float, Ge(1), "exponent of the distance"] = 2.0


@hookimpl
def dckt_discrepancies() -> list[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="my-plugin",
            summary="distance of the domains' means",
            options=Options,
            build=build,
            api="1.0",
        )
    ]


def build(options: Options, context: DiscrepancyContext) -> Callable[[Tensor, Tensor], Tensor]:
    """For all layers at once, or with parameters to train along, return an object with `many` instead."""

    def discrepancy(source: Tensor, target: Tensor) -> Tensor:
        """Source rows [n, d] and target rows [n, d] of one layer, n >= 2, to a differentiable scalar."""
        return (source.mean(dim=0) - target.mean(dim=0)).abs().pow(options.power).sum()

    return discrepancy
