"""Several optimizers under one loss scale, as with fp16."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dckt_core.engine.processes import Engine

SCALE = 4.0


@pytest.fixture
def engine() -> Engine:
    """With the loss scale that fp16 has on an accelerator; it grows after each update that succeeds."""
    engine = Engine("cpu")
    engine._accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=1)
    return engine


def learners() -> tuple[list[nn.Parameter], list[torch.optim.Optimizer]]:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(3))]
    return parameters, [torch.optim.SGD([parameter], lr=1.0) for parameter in parameters]


def scaled_gradients(engine: Engine, parameters: list[nn.Parameter], gradients: list[float]) -> None:
    loss: Tensor = sum((p * g).sum() for p, g in zip(parameters, gradients, strict=True))  # type: ignore[assignment]
    engine._accelerator.scaler.scale(loss).backward()


def test_all_learn_at_the_scale_of_this_update(engine: Engine) -> None:
    parameters, optimizers = learners()
    for update in (1, 2, 3):
        scaled_gradients(engine, parameters, [1.0, 3.0])
        engine.step(optimizers)
        assert parameters[0].tolist() == [-1.0 * update] * 2
        assert parameters[1].tolist() == [-3.0 * update] * 3
        assert all(parameter.grad is None for parameter in parameters)
        assert engine._accelerator.scaler.get_scale() == SCALE * 2**update


@pytest.mark.parametrize("overflowing", [0, 1])
def test_none_learns_where_one_overflows(engine: Engine, overflowing: int) -> None:
    parameters, optimizers = learners()
    gradients = [1.0, 1.0]
    gradients[overflowing] = float("inf")
    scaled_gradients(engine, parameters, gradients)
    engine.step(optimizers)
    assert not any(parameter.any() for parameter in parameters)
    assert all(parameter.grad is None for parameter in parameters)
    assert engine._accelerator.scaler.get_scale() == SCALE / 2
    scaled_gradients(engine, parameters, [1.0, 1.0])
    engine.step(optimizers)
    assert parameters[0].tolist() == [-1.0] * 2
    assert parameters[1].tolist() == [-1.0] * 3


def test_without_a_scale_all_learn() -> None:
    engine = Engine("cpu")
    parameters, optimizers = learners()
    engine.backward((2 * parameters[0]).sum() + parameters[1].sum())
    engine.step(optimizers)
    assert parameters[0].tolist() == [-2.0] * 2
    assert parameters[1].tolist() == [-1.0] * 3
    assert all(parameter.grad is None for parameter in parameters)
