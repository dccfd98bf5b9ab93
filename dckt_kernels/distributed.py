"""Squared MMD of the batch of all processes together: each sees all rows and computes the pairs of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from dckt_kernels import derivatives
from dckt_kernels.options import Estimator, Number, Options, check_pairs, checked_sigma, widened
from dckt_kernels.pair_weights import PairWeights
from dckt_kernels.panels import panels


def global_mk_mmd(
    x: Tensor,
    y: Tensor,
    *,
    kernel_num: int = 5,
    kernel_mul: float = 2.0,
    sigma: Number | None = None,
    estimator: Estimator = "biased",
    bandwidth_grad: bool = False,
    group: dist.ProcessGroup | None = None,
    ddp: bool = True,
) -> Tensor:
    """`mk_mmd` of the rows of all processes of `group`: x [n, d] and y [m, d] are this process's part of the batch.

    Every process gets the same value, that of the whole batch, and a gradient for its own rows; n and m may differ
    between processes. A collective call: all processes of the group must make it. Work a process: its own rows against
    all rows; memory: all rows, and blocks. A forward-mode derivative is that along the tangents of all processes, and
    a collective call too: all of them must pass tangents, zeros where there are none.

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
    width = checked_sigma(sigma)
    if estimator not in ("biased", "unbiased"):
        raise ValueError(f"the global MMD is 'biased' or 'unbiased', not {estimator!r}")
    if bandwidth_grad and width is not None:
        raise ValueError("bandwidth_grad=True needs sigma=None: a fixed sigma has no gradient")
    if not dist.is_initialized():
        raise RuntimeError("the global MMD needs torch.distributed: call init_process_group first, or mk_mmd")
    check_pairs([(x, y)], Options(kernel_num, float(kernel_mul)))
    return derivatives.mmd(_Global(options, width, group, ddp), widened([(x, y)])[0])[0]


@dataclass(frozen=True)
class _Global:
    """What is kept: the gradient of the whole batch's MMD by the rows of this process [n + m, d]."""

    options: Options
    sigma: float | None
    group: dist.ProcessGroup | None
    ddp: bool

    def compute(self, rows: Sequence[Tensor], gradient: bool) -> tuple[Tensor, list[Tensor]]:
        x, y = rows
        all_x, x_start = _gather(x, self.group)
        all_y, y_start = _gather(y, self.group)
        n = all_x.shape[0]
        check_pairs([(all_x, all_y)], self.options)
        own = [slice(x_start, x_start + x.shape[0]), slice(n + y_start, n + y_start + y.shape[0])]

        def total(part: float) -> float:
            number = torch.tensor(part, dtype=torch.float64 if x.device.type != "mps" else torch.float32).to(x.device)
            return float(self._added(number))

        weights = PairWeights.of(all_x, all_y, None, None, self.options.estimator == "unbiased")
        value, grad = panels(all_x, all_y, self.options, self.sigma, weights, gradient, own, total)
        return value[None], [] if grad is None else [torch.cat([grad[part] for part in own])]

    def gradients(self, asked: derivatives.Asked) -> list[Tensor | None]:
        times = dist.get_world_size(self.group) if self.ddp else 1
        return asked.by_rows(0, asked.kept[0] * (asked.incoming[0] * times))

    def total(self, parts: Tensor) -> Tensor:
        return self._added(parts / dist.get_world_size(self.group) if self.ddp else parts.clone())

    def _added(self, numbers: Tensor) -> Tensor:
        """`numbers`, overwritten by their sums over the processes."""
        dist.all_reduce(numbers, group=self.group)
        return numbers


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
