"""Two processes with a part of the batch each, against one process with all of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dckt_kernels import global_mk_mmd, mk_mmd
from tests.support.processes import as_ranks
from tests.support.tolerance import assert_same

OPTIONS: list[dict[str, Any]] = [{}, {"estimator": "unbiased", "bandwidth_grad": True}, {"sigma": 4.0, "kernel_num": 3}]
CUTS = {"x": 7, "y": 3}


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(16, 5, generator=generator, dtype=torch.float64),
        "y": torch.randn(9, 5, generator=generator, dtype=torch.float64) + 0.5,
    }


def tangents() -> dict[str, Tensor]:
    return {name: (z + 1).cos() for name, z in batch().items()}


def part(z: Tensor, cut: int, rank: int) -> Tensor:
    return (z[:cut] if rank == 0 else z[cut:]).clone()


def network() -> nn.Linear:
    layer = nn.utils.skip_init(nn.Linear, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, 20, dtype=torch.float64).reshape(4, 5))
        layer.bias.zero_()
    return layer


def work(folder: Path) -> None:
    rank = dist.get_rank()
    mine = {name: part(z, CUTS[name], rank).requires_grad_() for name, z in batch().items()}
    found = []
    for options in OPTIONS:
        value = global_mk_mmd(mine["x"], mine["y"], ddp=False, **options)
        grads = torch.autograd.grad(2 * value, (mine["x"], mine["y"]))
        along = [
            torch.func.jvp(
                lambda x, y, ddp=ddp, options=options: global_mk_mmd(x, y, ddp=ddp, **options),
                (mine["x"].detach(), mine["y"].detach()),
                (part(tangents()["x"], CUTS["x"], rank), part(tangents()["y"], CUTS["y"], rank)),
            )[1]
            for ddp in (False, True)
        ]
        found.append((value.detach(), grads, along))
    layer = DistributedDataParallel(network())
    global_mk_mmd(*layer(torch.cat([mine["x"], mine["y"]])).split([len(mine["x"]), len(mine["y"])])).backward()
    torch.save((found, layer.module.weight.grad), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch's own, at a tangent
def test_two_processes_are_one(tmp_path: Path) -> None:
    as_ranks(partial(work, tmp_path))
    x, y = (z.requires_grad_() for z in batch().values())
    layer = network()
    mk_mmd(layer(x.detach()), layer(y.detach())).backward()
    for rank in (0, 1):
        found, weight_grad = torch.load(tmp_path / f"{rank}.pt")
        for options, (value, (by_x, by_y), along) in zip(OPTIONS, found, strict=True):
            expected = mk_mmd(x, y, **options)
            expected_x, expected_y = torch.autograd.grad(2 * expected, (x, y))
            assert_same(value, expected, terms=25**2, scale=1)
            _, expected_along = torch.func.jvp(
                lambda a, b, options=options: mk_mmd(a, b, **options),
                (x.detach(), y.detach()),
                tuple(tangents().values()),
            )
            for found_along in along:
                assert_same(found_along, expected_along, terms=25**2, scale=1)
            assert_same(by_x, part(expected_x, CUTS["x"], rank), terms=25**2)
            assert_same(by_y, part(expected_y, CUTS["y"], rank), terms=25**2)
        assert_same(weight_grad, layer.weight.grad, terms=25**2 * 4)


def test_it_needs_a_process_group() -> None:
    x, y = batch().values()
    with pytest.raises(RuntimeError, match="call init_process_group first, or mk_mmd"):
        global_mk_mmd(x, y)
    with pytest.raises(ValueError, match="'biased' or 'unbiased', not 'linear'"):
        global_mk_mmd(x, y, estimator="linear")
