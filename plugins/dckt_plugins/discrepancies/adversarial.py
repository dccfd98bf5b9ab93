"""`adversarial`: a domain discriminator at each layer, played against by gradient reversal (Ganin et al., 2016).

The journal version of the method puts such discriminators on image fc7, text fc7 and common fc9 in place of the MMD.
Set the weights of the other layers to 0 for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt

from dckt_core import DiscrepancySpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import Discrepancy, DiscrepancyContext


@dataclass(frozen=True)
class Options:
    """What `--discrepancy-opt` takes."""

    hidden: Annotated[int, Ge(1), "width of the discriminators' hidden layer"] = 256
    strength: Annotated[float, Gt(0), "factor of the reversed gradient at the end of its schedule"] = 1.0
    gamma: Annotated[float, Gt(0), "how fast the factor rises: strength * (2 / (1 + exp(-gamma * progress)) - 1)"] = 10


@hookimpl
def dckt_discrepancies() -> Iterable[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="adversarial",
            summary="domain discriminators with gradient reversal, trained along",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: DiscrepancyContext) -> Discrepancy:
    from dckt_plugins.discrepancies.discriminators import Discriminators

    return Discriminators(
        context.layers,
        hidden=options.hidden,
        strength=options.strength,
        gamma=options.gamma,
        generator=context.generator("discriminators"),
    )
