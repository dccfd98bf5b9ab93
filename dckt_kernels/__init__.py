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
from dckt_kernels.two_sample.drift import Drift, drift, witness
from dckt_kernels.two_sample.metrics import KID, cmmd, kid
from dckt_kernels.two_sample.permutations import TwoSampleTest, two_sample_test

__version__ = "0.1.0"
"""Of the wheel dckt-kernels: dckt's, whose wheel holds the same files."""

__all__ = [
    "KID",
    "Divergence",
    "Drift",
    "Transport",
    "TwoSampleTest",
    "UnsettledWarning",
    "cmmd",
    "drift",
    "global_mk_mmd",
    "kid",
    "mean_distance_bandwidth",
    "mk_mmd",
    "mk_mmd_many",
    "resolve_backend",
    "sinkhorn",
    "sinkhorn_divergence",
    "sinkhorn_of_costs",
    "two_sample_test",
    "witness",
]
