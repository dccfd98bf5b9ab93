"""`adversarial`: what the discriminators compute, which way their gradient flows, and how its factor rises."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dckt_plugins.discrepancies.adversarial import Discriminators, ReverseGradient, reversal_factor
from dckt_plugins.discrepancies.catalogue import AdversarialOptions
from tests.support.tolerance import approx, assert_same

pytestmark = pytest.mark.numerics

HIDDEN = AdversarialOptions().hidden


def rows(n: int, d: int = 3, *, seed: int = 0, shift: float = 0.0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


@given(progress=st.floats(0, 1), strength=st.floats(0.1, 5), gamma=st.floats(0.1, 50))
def test_the_schedule_rises_from_nothing_to_the_strength(progress: float, strength: float, gamma: float) -> None:
    factor = reversal_factor(progress, strength, gamma)
    assert factor == approx(strength * math.tanh(gamma * progress / 2), scale=strength)
    assert 0 <= factor <= strength
    assert reversal_factor(0.0, strength, gamma) == 0.0


def test_the_schedule_by_hand() -> None:
    assert reversal_factor(1.0, 1.0, 10.0) == pytest.approx(0.99990920)
    assert reversal_factor(0.5, 2.0, 10.0) == pytest.approx(2 * 0.98661430)


def test_the_identity_whose_gradient_is_reversed() -> None:
    values = torch.tensor([1.0, -2.0], requires_grad=True)
    out = ReverseGradient.apply(values, 0.25)
    assert torch.equal(out, values)
    (slope,) = torch.autograd.grad((out * torch.tensor([4.0, 8.0])).sum(), values)
    assert slope.tolist() == [-1.0, -2.0]


def test_values_are_the_cross_entropy_of_each_domain_weighed_the_same(build: Any) -> None:
    discrepancy = build("adversarial", layers={"image_fc7": 3, "common_fc9": 3}, hidden=5)
    pairs = {"image_fc7": (rows(4), rows(9, seed=1)), "common_fc9": (rows(2, seed=2), rows(3, seed=3))}
    values = discrepancy.many(pairs, 0.3)
    assert list(values) == ["image_fc7", "common_fc9"]
    for name, (source, target) in pairs.items():
        network = discrepancy.networks[name]
        of_source = -torch.log(torch.sigmoid(network(source))).mean()
        of_target = -torch.log(1 - torch.sigmoid(network(target))).mean()
        assert_same(values[name], (of_source + of_target) / 2, terms=13 * (3 + 5))


def test_a_discriminator_that_knows_nothing_says_log_2(build: Any) -> None:
    discrepancy = build("adversarial", layers={"a": 3})
    nn.init.zeros_(discrepancy.networks["a"][2].weight)
    assert_same(discrepancy.many({"a": (rows(4), rows(9, seed=1))}, 1.0)["a"], math.log(2), terms=13)


def test_the_discriminators_learn_to_lower_it_and_the_networks_to_raise_it(build: Any) -> None:
    discrepancy = build("adversarial", layers={"a": 3})
    source, target = rows(6).requires_grad_(), rows(6, seed=1).requires_grad_()

    def value(source: Tensor, target: Tensor) -> Tensor:
        return discrepancy.many({"a": (source, target)}, 1.0)["a"]

    before = value(source, target)
    before.backward()
    step = 0.1
    with torch.no_grad():
        moved = [rows - step * rows.grad for rows in (source, target) if rows.grad is not None]
        assert value(*moved).item() > before.item(), "descent on the rows makes the domains harder to tell apart"
        for parameter in discrepancy.parameters():
            assert parameter.grad is not None
            parameter -= step * parameter.grad
        assert value(source, target).item() < before.item(), "descent on the discriminators tells them apart better"


@pytest.mark.parametrize("progress", [0.0, 0.2, 1.0])
def test_the_rows_feel_the_factor_and_the_discriminators_do_not(build: Any, progress: float) -> None:
    discrepancy = build("adversarial", layers={"a": 3}, strength=0.5, gamma=4.0)
    source, target = rows(6).requires_grad_(), rows(6, seed=1)
    plain = discrepancy.networks["a"]
    expected = (nn.functional.softplus(-plain(source)).mean() + nn.functional.softplus(plain(target)).mean()) / 2
    parameters = list(discrepancy.parameters())
    wanted = torch.autograd.grad(expected, [source, *parameters])
    got = torch.autograd.grad(discrepancy.many({"a": (source, target)}, progress)["a"], [source, *parameters])
    factor = reversal_factor(progress, 0.5, 4.0)
    assert_same(got[0], -factor * wanted[0], terms=6 * HIDDEN)
    for ours, theirs in zip(got[1:], wanted[1:], strict=True):
        assert_same(ours, theirs, terms=12 * HIDDEN)


def test_same_seed_same_weights_and_no_global_draws(build: Any) -> None:
    layers = {"image_fc7": 3, "common_fc9": 5}
    first, second, other = (build("adversarial", layers=layers, hidden=4, seed=seed).state_dict() for seed in (1, 1, 2))
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["networks.image_fc7.0.weight"], other["networks.image_fc7.0.weight"])
    assert first["networks.common_fc9.0.weight"].shape == (4, 5)


def test_trained_it_tells_domains_apart() -> None:
    discriminators = Discriminators(
        {"a": 3}, hidden=16, strength=1.0, gamma=10.0, generator=torch.Generator().manual_seed(0)
    )
    parameters = list(discriminators.parameters())
    for _ in range(60):
        value = discriminators.many({"a": (rows(40, shift=2.0), rows(40, seed=1))}, 1.0)["a"]
        with torch.no_grad():
            for parameter, slope in zip(parameters, torch.autograd.grad(value, parameters), strict=True):
                parameter -= 0.5 * slope
    assert value.item() < 0.2
