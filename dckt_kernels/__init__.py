"""Distances between sets of rows: fused multi-bandwidth MMD, and entropic optimal transport beside it.

Exact, small in memory, in float32 as accurate as float64 differences.

from dckt_kernels import mk_mmd, sinkhorn_divergence
loss = mk_mmd(source_features, target_features)
"""

from dckt_kernels.api import mk_mmd, mk_mmd_many
from dckt_kernels.backend import resolve_backend
from dckt_kernels.bandwidth import mean_distance_bandwidth
from dckt_kernels.distributed import global_mk_mmd
from dckt_kernels.transport.api import (
    Divergence,
    Transport,
    UnsettledWarning,
    sinkhorn,
    sinkhorn_divergence,
    sinkhorn_of_costs,
)
from dckt_kernels.two_sample import TwoSampleTest, permutation_test

__all__ = [
    "Divergence",
    "Transport",
    "TwoSampleTest",
    "UnsettledWarning",
    "global_mk_mmd",
    "mean_distance_bandwidth",
    "mk_mmd",
    "mk_mmd_many",
    "permutation_test",
    "resolve_backend",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_of_costs",
]
