"""`mmd`: the multi-bandwidth squared MMD of `dckt_kernels`, all attached layers in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from dckt_core import DiscrepancySpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import Discrepancy, DiscrepancyContext


@dataclass(frozen=True)
class Options:
    """What `--discrepancy-opt` takes."""

    estimator: Annotated[Literal["biased", "unbiased", "linear", "quadruple"], "which estimate of the squared MMD"] = (
        "biased"
    )
    kernel_num: Annotated[int, Ge(1), Le(32), "K, how many Gaussians are averaged"] = 5
    kernel_mul: Annotated[float, Ge(0.01), Le(100), "ratio of neighbouring bandwidths"] = 2.0
    sigma: Annotated[
        float | None, Gt(0), "fixed central bandwidth, a squared distance; by default the batch's mean"
    ] = None
    bandwidth_grad: Annotated[bool, "let the gradient flow through the mean-distance bandwidth"] = False
    global_batch: Annotated[
        bool, "compare the batches of all processes together, not each process's own (biased and unbiased only)"
    ] = False
    precision: Annotated[Literal["ieee", "tf32", "tf32x3"], "arithmetic of float32 products on a GPU"] = "tf32x3"


@hookimpl
def dckt_discrepancies() -> Iterable[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="mmd",
            summary="multi-bandwidth maximum mean discrepancy (the method's own)",
            options=Options,
            build=_build,
            api="1.0",
        )
    ]


def _build(options: Options, context: DiscrepancyContext) -> Discrepancy:
    import torch.distributed as dist

    from dckt_core import UsageError
    from dckt_kernels import global_mk_mmd, mk_mmd_many

    if options.global_batch and options.estimator not in ("biased", "unbiased"):
        raise UsageError(f"option 'global_batch' of discrepancy 'mmd' does not go with estimator '{options.estimator}'")
    generator = context.generator("mmd")

    class MMD:
        def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
            if options.global_batch and dist.is_initialized():
                return {
                    name: global_mk_mmd(
                        *rows,
                        kernel_num=options.kernel_num,
                        kernel_mul=options.kernel_mul,
                        sigma=options.sigma,
                        estimator=options.estimator,
                        bandwidth_grad=options.bandwidth_grad,
                    )
                    for name, rows in layers.items()
                }
            values = mk_mmd_many(
                list(layers.values()),
                kernel_num=options.kernel_num,
                kernel_mul=options.kernel_mul,
                sigma=options.sigma,
                estimator=options.estimator,
                bandwidth_grad=options.bandwidth_grad,
                precision=options.precision,
                generator=generator,
            )
            return dict(zip(layers, values.unbind(), strict=True))

        def state_dict(self) -> dict[str, Tensor]:
            return {"generator": generator.get_state()}

        def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
            generator.set_state(state["generator"])

    return MMD()
