"""What rows are made of, as a short list of steps: a part of the common space says its arithmetic with it, so that the
space can be applied where there is neither torch nor dckt.

Every step takes values and gives one, rows [n, k]; the rows of features are the first value. All constants are float32,
but for what a step counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Op = Literal["standardise", "linear", "unit", "softmax", "relu", "exp", "join", "sum", "nearest"]
OPS: tuple[Op, ...] = get_args(Op)


@dataclass(frozen=True)
class Value:
    """Rows [n, k] that a step gives.

    Attributes:
        number: the step's, from 1; 0 is the features.
    """

    number: int


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        inputs: numbers of the values that it takes.
        tensors: its constants, float32, by name.
        numbers: what it counts and weighs.
    """

    op: Op
    inputs: tuple[int, ...]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Mapping[str, float | int | Sequence[float]] = field(default_factory=dict)


class Formula:
    """Notes down steps: a part's `formula` calls what it needs. `rows` works them out.

    Attributes:
        features: the rows of features [n, d] of one medium.
        steps: all steps so far, each of which takes earlier values alone.
    """

    def __init__(self) -> None:
        self.features = Value(0)
        self.steps: list[Step] = []

    def standardise(self, x: Value, mean: Tensor, factor: Tensor) -> Value:
        """(x - mean) * factor, column by column: mean and factor are [k]."""
        return self._step("standardise", [x], {"mean": mean, "factor": factor})

    def linear(self, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        """x @ weight + bias: weight is [k, l], bias [l]."""
        return self._step("linear", [x], {"weight": weight} | ({} if bias is None else {"bias": bias}))

    def unit(self, x: Value) -> Value:
        """Rows of length 1; a row of zeros stays one."""
        return self._step("unit", [x])

    def softmax(self, x: Value) -> Value:
        """exp(x), each row divided by its sum."""
        return self._step("softmax", [x])

    def relu(self, x: Value) -> Value:
        """x where it is above 0, else 0."""
        return self._step("relu", [x])

    def exp(self, x: Value) -> Value:
        """e to the power of x."""
        return self._step("exp", [x])

    def join(self, values: Sequence[Value]) -> Value:
        """Values side by side: [n, the sum of their widths]."""
        return self._step("join", values)

    def sum(self, values: Sequence[Value], weights: Sequence[float]) -> Value:
        """Values of one width, each times its weight, added up."""
        return self._step("sum", values, numbers={"weights": [float(weight) for weight in weights]})

    def nearest(self, x: Value, keys: Tensor, values: Tensor, *, count: int, power: float) -> Value:
        """The sum of the values [m, l] of the `count` keys [m, k] with the largest products x @ key, each times that
        product to the power; products below 0 count as 0. Equal products may come in any order.
        """
        numbers: dict[str, float | int | Sequence[float]] = {"count": min(count, len(keys)), "power": float(power)}
        return self._step("nearest", [x], {"keys": keys, "values": values}, numbers)

    def rows(self, features: Tensor) -> list[Tensor]:
        """All values for rows of features [n, d], float32, the features first: how the steps are meant."""
        values = [features.float()]
        for step in self.steps:
            values.append(_worked_out(step, [values[number] for number in step.inputs]))
        return values

    def _step(
        self,
        op: Op,
        inputs: Sequence[Value],
        tensors: Mapping[str, Tensor] | None = None,
        numbers: Mapping[str, float | int | Sequence[float]] | None = None,
    ) -> Value:
        kept = {name: tensor.detach().cpu().float().contiguous() for name, tensor in (tensors or {}).items()}
        self.steps.append(Step(op, tuple(value.number for value in inputs), kept, numbers or {}))
        return Value(len(self.steps))


def _worked_out(step: Step, given: Sequence[Tensor]) -> Tensor:
    tensors, numbers, x = step.tensors, step.numbers, given[0]
    match step.op:
        case "standardise":
            return (x - tensors["mean"]) * tensors["factor"]
        case "linear":
            return x @ tensors["weight"] + tensors.get("bias", torch.zeros(1))
        case "unit":
            return F.normalize(x, dim=1)
        case "softmax":
            return x.softmax(dim=1)
        case "relu":
            return x.relu()
        case "exp":
            return x.exp()
        case "join":
            return torch.cat(list(given), dim=1)
        case "sum":
            weights = numbers["weights"]
            assert isinstance(weights, list)
            return torch.stack([weight * one for weight, one in zip(weights, given, strict=True)]).sum(dim=0)
        case "nearest":
            count, power = numbers["count"], numbers["power"]
            assert isinstance(count, int)
            assert isinstance(power, float)
            products, rows = (x @ tensors["keys"].T).topk(count, dim=1)
            return ((products.clamp_min(0) ** power)[:, :, None] * tensors["values"][rows]).sum(dim=1)
