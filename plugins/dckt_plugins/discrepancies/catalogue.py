"""The discrepancies in the box: their names and options. What builds them is imported when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from dckt_core import DiscrepancySpec, hookimpl

KernelNum = Annotated[int, Ge(1), Le(32)]
KernelMul = Annotated[float, Ge(0.01), Le(100), "ratio of neighbouring bandwidths"]


@dataclass(frozen=True)
class MMDOptions:
    """What `--discrepancy-opt` takes."""

    estimator: Annotated[Literal["biased", "unbiased", "linear", "quadruple"], "which estimate of the squared MMD"] = (
        "biased"
    )
    kernel_num: Annotated[KernelNum, "K, how many Gaussians are averaged"] = 5
    kernel_mul: KernelMul = 2.0
    sigma: Annotated[
        float | None, Gt(0), "fixed central bandwidth, a squared distance; by default the batch's mean"
    ] = None
    bandwidth_grad: Annotated[bool, "let the gradient flow through the mean-distance bandwidth"] = False
    global_batch: Annotated[
        bool, "compare the batches of all processes together, not each process's own (biased and unbiased only)"
    ] = False
    precision: Annotated[
        Literal["ieee", "tf32", "tf32x3"] | None,
        "arithmetic of float32 products in the GPU kernels; by default tf32x3 (not with global_batch)",
    ] = None


@dataclass(frozen=True)
class JMMDOptions:
    """What `--discrepancy-opt` takes."""

    kernel_num: Annotated[KernelNum, "K, how many Gaussians are averaged at each layer"] = 5
    kernel_mul: KernelMul = 2.0


@dataclass(frozen=True)
class AdversarialOptions:
    """What `--discrepancy-opt` takes."""

    hidden: Annotated[int, Ge(1), "width of the discriminators' hidden layer"] = 256
    strength: Annotated[float, Gt(0), "factor of the reversed gradient at the end of its schedule"] = 1.0
    gamma: Annotated[float, Gt(0), "how fast the factor rises: strength * (2 / (1 + exp(-gamma * progress)) - 1)"] = 10


@dataclass(frozen=True)
class SinkhornOptions:
    """What `--discrepancy-opt` takes. The unit of cost is the mean squared distance of the pooled rows.

    In layers of hundreds of values a batch's own scatter drowns the domains' difference where eps is well below 1.
    """

    eps: Annotated[float, Ge(1e-3), Le(1e3), "entropy of the plan: the smaller, the finer and the slower"] = 1.0
    rho: Annotated[float | None, Ge(1e-3), Le(1e3), "how firmly the plan's marginals hold; by default exactly"] = None
    sweeps: Annotated[int, Ge(2), Le(1_000_000), "at most so many walks over all pairs"] = 500
    tolerance: Annotated[float, Gt(0), Le(1), "error of the plan's marginals at which it is enough, L1"] = 1e-4


@hookimpl
def dckt_discrepancies() -> Iterable[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="mmd",
            summary="multi-bandwidth maximum mean discrepancy (the method's own)",
            options=MMDOptions,
            build="dckt_plugins.discrepancies.mmd:MMD",
            api="1.0",
        ),
        DiscrepancySpec(
            name="coral",
            summary="squared distance of the domains' covariances",
            build="dckt_plugins.discrepancies.coral:build",
            api="1.0",
        ),
        DiscrepancySpec(
            name="jmmd",
            summary="joint MMD: the product of the kernels of a path's layers",
            options=JMMDOptions,
            build="dckt_plugins.discrepancies.jmmd:JointMMD",
            api="1.0",
        ),
        DiscrepancySpec(
            name="adversarial",
            summary="domain discriminators with gradient reversal, trained along",
            options=AdversarialOptions,
            build="dckt_plugins.discrepancies.adversarial:build",
            api="1.0",
        ),
        DiscrepancySpec(
            name="sinkhorn",
            summary="debiased Sinkhorn divergence: entropic optimal transport between the domains",
            options=SinkhornOptions,
            build="dckt_plugins.discrepancies.sinkhorn:Sinkhorn",
            api="1.0",
        ),
    ]
