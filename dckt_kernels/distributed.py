"""Squared MMD of the batch of all processes together: each sees all rows and computes the pairs of its own."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dckt_kernels.options import Estimator, Options, check_pairs, check_sigma
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.panels import panels
from dckt_kernels.product import full_precision


def global_mk_mmd(
    x: Tensor,
    y: Tensor,
    *,
    kernel_num: int = 5,
    kernel_mul: float = 2.0,
    sigma: float | None = None,
    estimator: Estimator = "biased",
    bandwidth_grad: bool = False,
    group: dist.ProcessGroup | None = None,
    ddp: bool = True,
) -> Tensor:
    """`mk_mmd` of the rows of all processes of `group`: x [n, d] and y [m, d] are this process's part of the batch.

    Every process gets the same value, that of the whole batch, and a gradient for its own rows; n and m may differ
    between processes. A collective call: all processes of the group must make it. Work a process: its own rows against
    all rows; memory: all rows, and blocks.

    Args:
        estimator: `biased` or `unbiased`.
        group: the processes; None for all of them.
        ddp: True where parameter gradients are averaged over the processes, as DistributedDataParallel does. The
            gradient is then multiplied by the number of processes, so that the average is the gradient of the whole
            batch's MMD. False where they are added up.

    Raises:
        ValueError, TypeError: what is asked for cannot be computed.
        RuntimeError: no process group was made.
    """
    options = Options(kernel_num, float(kernel_mul), estimator, bandwidth_grad)
    check_sigma(sigma)
    if estimator not in ("biased", "unbiased"):
        raise ValueError(f"the global MMD is 'biased' or 'unbiased', not {estimator!r}")
    if bandwidth_grad and sigma is not None:
        raise ValueError("bandwidth_grad=True needs sigma=None: a fixed sigma has no gradient")
    if not dist.is_initialized():
        raise RuntimeError("the global MMD needs torch.distributed: call init_process_group first, or mk_mmd")
    check_pairs([(x, y)], Options(kernel_num, float(kernel_mul)))
    value: Tensor = _GlobalMMD.apply(x, y, options, sigma, group, ddp)[0]
    return value


class _GlobalMMD(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, y: Tensor, options: Options, sigma: float | None, group: dist.ProcessGroup | None, ddp: bool
    ) -> tuple[Tensor, Tensor]:
        all_x, x_start = _gather(x, group)
        all_y, y_start = _gather(y, group)
        n = all_x.shape[0]
        check_pairs([(all_x, all_y)], options)
        own = [slice(x_start, x_start + x.shape[0]), slice(n + y_start, n + y_start + y.shape[0])]

        def total(part: float) -> float:
            number = torch.tensor(part, dtype=torch.float64 if x.device.type != "mps" else torch.float32).to(x.device)
            dist.all_reduce(number, group=group)
            return float(number)

        weights = PairWeights.of(all_x, all_y, None, None, options.estimator == "unbiased")
        with full_precision(x.device.type):
            value, grad = panels(all_x, all_y, options, sigma, weights, True, own, total)
        assert grad is not None
        rows = torch.cat([grad[part] for part in own])
        return value, rows.mul_(dist.get_world_size(group)) if ddp else rows

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[1])
        ctx.rows, ctx.dtype = inputs[0].shape[0], inputs[0].dtype

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, incoming: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        if incoming is None:
            return None, None, None, None, None, None
        grad = (ctx.saved_tensors[0] * incoming).to(ctx.dtype)
        return grad[: ctx.rows], grad[ctx.rows :], None, None, None, None


def _gather(rows: Tensor, group: dist.ProcessGroup | None) -> tuple[Tensor, int]:
    """The rows of all processes in order of rank, and where this process's own begin. Row counts may differ."""
    rank, world = dist.get_rank(group), dist.get_world_size(group)
    count = torch.tensor([rows.shape[0]], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(world)]
    dist.all_gather(counts, count, group=group)
    sizes = [int(size) for size in counts]
    padded = rows.new_zeros(max(sizes), rows.shape[1])
    padded[: rows.shape[0]] = rows
    parts = [torch.empty_like(padded) for _ in range(world)]
    dist.all_gather(parts, padded, group=group)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), sum(sizes[:rank])
