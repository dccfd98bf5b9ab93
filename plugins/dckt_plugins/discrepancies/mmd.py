"""`mmd`: the multi-bandwidth squared MMD of `dckt_kernels`, all attached layers in one call."""

from __future__ import annotations

from collections.abc import Mapping

import torch.distributed as dist
from torch import Tensor

from dckt_core import DiscrepancyContext, UsageError
from dckt_kernels import global_mk_mmd, mk_mmd_many
from dckt_plugins.discrepancies.catalogue import MMDOptions


class MMD:
    """Remembers the generator that random estimates draw from.

    Raises:
        UsageError: the estimator or the precision does not go with `global_batch`.
    """

    def __init__(self, options: MMDOptions, context: DiscrepancyContext) -> None:
        if options.global_batch and options.estimator not in ("biased", "unbiased"):
            raise UsageError(
                f"option 'global_batch' of discrepancy 'mmd' does not go with estimator '{options.estimator}'"
            )
        if options.global_batch and options.precision is not None:
            raise UsageError(
                "option 'precision' of discrepancy 'mmd' does not go with global_batch, whose products are torch's own"
            )
        self._options = options
        self._generator = context.generator("mmd")

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        options = self._options
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
            precision=options.precision or "tf32x3",
            generator=self._generator,
        )
        return dict(zip(layers, values.unbind(), strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self._generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._generator.set_state(state["generator"])
