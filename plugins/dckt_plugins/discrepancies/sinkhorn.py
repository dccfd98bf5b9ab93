"""`sinkhorn`: the debiased Sinkhorn divergence (Genevay et al., 2018; Feydy et al., 2019), unbalanced on request
(Séjourné et al., 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dckt_core import DiscrepancyContext, logger
from dckt_kernels import mean_distance_bandwidth, sinkhorn_divergence
from dckt_plugins.discrepancies.catalogue import SinkhornOptions


class Sinkhorn:
    """The divergence of a layer's rows, all lengths being relative to the mean squared distance of the pooled rows.

    That mean is a constant in the gradient, as the bandwidth of `mmd` is. Says once where the iterations did not come
    to rest.
    """

    def __init__(self, options: SinkhornOptions, context: DiscrepancyContext) -> None:
        self._options = options
        self._warned = False

    def __call__(self, source: Tensor, target: Tensor) -> Tensor:
        """Source rows [n, d] and target rows [m, d] to a scalar, 0 where they are the same."""
        options = self._options
        unit = mean_distance_bandwidth(source.detach(), target.detach())
        unit = torch.where(unit > 0, unit, torch.ones_like(unit))
        root = unit.sqrt().to(source.dtype)
        found = sinkhorn_divergence(
            source / root,
            target / root,
            eps=options.eps,
            rho=options.rho,
            tolerance=options.tolerance,
            max_sweeps=options.sweeps,
            warn=False,
        )
        if found.error > options.tolerance and not self._warned:
            self._warned = True
            logger.warning(
                "discrepancy 'sinkhorn': after %d sweeps the marginals are off by %.1g, more than the tolerance of "
                "%.1g, and values are about as exact; a larger eps or more sweeps would mend it (said once)",
                options.sweeps,
                found.error,
                options.tolerance,
            )
        return found.value
