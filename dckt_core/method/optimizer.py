"""Stochastic gradient descent as the paper has it: biases by rules of their own, and a rate that decays."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from dckt_core.config import OptimizerConfig


def parameter_groups(module: nn.Module, lr: float, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Weights at `lr` with decay; biases at `lr * bias_lr_factor` with a decay of their own. Frozen ones left out."""
    trained = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    biases = [parameter for name, parameter in trained if name.endswith("bias")]
    weights = [parameter for name, parameter in trained if not name.endswith("bias")]
    kinds = ((weights, 1.0, config.weight_decay), (biases, config.bias_lr_factor, config.bias_decay))
    return [
        {"params": members, "factor": factor, "lr": lr * factor, "weight_decay": decay}
        for members, factor, decay in kinds
        if members
    ]


def sgd(module: nn.Module, lr: float, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum over a module's parameter groups."""
    return torch.optim.SGD(parameter_groups(module, lr, config), lr=lr, momentum=config.momentum)


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of every group, times the group's own factor."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"]


def decayed_rate(lr: float, gamma: float, power: float, update: int) -> float:
    """The rate at an update counted over all iterations: lr * (1 + gamma * update) ** -power."""
    return float(lr * (1 + gamma * update) ** -power)
