from __future__ import annotations

import pytest
import torch
from torch import nn

from dckt_core.method.optimizer import decayed_rate, parameter_groups, set_rate, sgd
from tests.support import tiny
from tests.support.tolerance import assert_same


def test_biases_learn_twice_as_fast_and_do_not_decay():
    module = nn.Sequential(tiny.linear(3, 2), nn.BatchNorm1d(2), tiny.linear(2, 2))
    module[2].bias.requires_grad_(False)
    weights, biases = parameter_groups(module, 0.01, tiny.config().optimizer)
    assert (weights["lr"], weights["weight_decay"]) == (0.01, 5e-4)
    assert (biases["lr"], biases["weight_decay"]) == (0.02, 0.0)
    assert len(weights["params"]) == 3
    assert {id(p) for p in biases["params"]} == {id(module[0].bias), id(module[1].bias)}


def test_one_step_moves_a_bias_by_twice_the_rate_and_a_weight_by_rate_and_decay():
    module = tiny.linear(1, 1)
    nn.init.constant_(module.weight, 2.0)
    nn.init.constant_(module.bias, 2.0)
    optimizer = sgd(module, 0.1, tiny.config().optimizer)
    module(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert_same(module.bias, [2.0 - 0.2 * 1.0], terms=2)
    assert_same(module.weight[0], [2.0 - 0.1 * (1.0 + 5e-4 * 2.0)], terms=3)


def test_the_rate_falls_as_the_release_has_it_and_biases_keep_their_factor():
    assert decayed_rate(0.01, 1e-4, 0.75, 0) == 0.01
    assert decayed_rate(0.01, 1e-4, 0.75, 10_000) == pytest.approx(0.01 * 2**-0.75)
    optimizer = sgd(tiny.linear(2, 2), 0.1, tiny.config().optimizer)
    set_rate(optimizer, 0.05)
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.1]
