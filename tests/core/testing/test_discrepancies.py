"""`assert_discrepancy_ok` passes what keeps the contract, and names the rule that a broken discrepancy breaks."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dckt_core import DiscrepancySpec
from dckt_core.testing import assert_discrepancy_ok


def distance(source: Tensor, target: Tensor) -> Tensor:
    return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


def spec(build: Callable[[Any, Any], Any]) -> DiscrepancySpec[Any]:
    return DiscrepancySpec(name="mine", summary="a test", build=build, api="1.0")


def function(value: Callable[[Tensor, Tensor], Any]) -> Callable[[Any, Any], Any]:
    return lambda options, context: value


def layerwise(many: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Builds an object whose `many` is a function of the layers and the progress."""
    return lambda options, context: type("Layerwise", (), {"many": lambda self, layers, done: many(layers, done)})()


class RandomProjections:
    """Mean distance along a random direction, drawn anew at every call from a generator of its own."""

    def __init__(self, options: Any, context: Any) -> None:
        self.generator = context.generator("directions")

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        values = {}
        for name, (source, target) in layers.items():
            direction = torch.randn(source.shape[1], generator=self.generator)
            values[name] = ((source - target) @ direction).mean().square()
        return values

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.generator.set_state(state["generator"])


class Weighted(nn.Module):
    """Mean distance with a trained weight for each layer."""

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name: nn.Parameter(torch.ones(())) for name in context.layers})

    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        return {name: self.weights[name] * distance(*rows) for name, rows in layers.items()}


class Idle(Weighted):
    def many(self, layers: Mapping[str, tuple[Tensor, Tensor]], progress: float) -> Mapping[str, Tensor]:
        return {name: distance(*rows) for name, rows in layers.items()}


@pytest.mark.parametrize("build", [function(distance), RandomProjections, Weighted])
def test_good_ones_pass(build: Any) -> None:
    assert_discrepancy_ok(spec(build))


def test_one_domain_may_stand_still() -> None:
    assert_discrepancy_ok(spec(function(lambda source, target: distance(source.detach(), target))))


def in_place(source: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        target.add_(1)
    return distance(source, target)


def drawing(source: Tensor, target: Tensor) -> Tensor:
    return distance(source, target) * (1 + random.random())


class Forgets(RandomProjections):
    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


class States(RandomProjections):
    def state_dict(self) -> dict[str, Any]:
        return {"calls": 3}


class CannotLoad(RandomProjections):
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        raise ValueError("no way back")


def only_four_layers(options: Any, context: Any) -> Any:
    return layerwise(lambda layers, done: {**_all(layers), "extra": layers["image_fc6"][0].sum()})(options, context)


def _all(layers: Any) -> dict[str, Tensor]:
    return {name: distance(*rows) for name, rows in layers.items()}


COUNT = iter(range(10**6))

BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda options, context: None, "build must return a function or an object with many, not NoneType"),
    "build raises": (lambda options, context: 1 / 0, "build raised ZeroDivisionError"),
    "raises": (function(lambda s, t: {}["x"]), "for two domains that differ it raised KeyError"),
    "vector": (function(lambda s, t: (s - t).mean(dim=0)), "the value at image_fc6 must be a scalar tensor"),
    "number": (function(lambda s, t: distance(s, t).item()), "the value at image_fc6 must be a scalar tensor"),
    "no gradient": (function(lambda s, t: distance(s, t).detach()), "the value at image_fc6 has no gradient"),
    "names": (only_four_layers, "many must give a value for each of"),
    "nan": (function(lambda s, t: distance(s, t) * float("nan")), "its value must be finite, and for two domains tha"),
    "infinite gradient": (
        function(lambda s, t: (distance(s.detach(), t) - distance(s, t).detach()).abs().sqrt()),
        "its gradient must be finite, and for two domains that differ at image_fc6 it is not",
    ),
    "zero gradient": (function(lambda s, t: distance(s, t) * 0), "its gradient at image_fc6 is zero"),
    "one layer without gradient": (
        layerwise(lambda layers, done: _all(layers) | {"text_fc7": 0 * distance(*layers["text_fc7"])}),
        "its gradient at text_fc7 is zero",
    ),
    "idle parameters": (Idle, r"its parameter weights\.common_fc8 gets no finite gradient"),
    "mean of none": (
        function(lambda s, t: distance(s, t) + (s[2:].mean() - t[2:].mean()).square()),
        "its value must be finite, and for two rows a domain at image_fc6 it is nan",
    ),
    "square root": (
        function(lambda s, t: distance(s, t).sqrt()),
        "its gradient must be finite, and for rows that are all zero at image_fc6 it is not",
    ),
    "divides": (
        function(lambda s, t: distance(s, t) / (s + t).mean()),
        "its value must be finite, and for rows that are all zero at image_fc6 it is nan",
    ),
    "progress": (
        layerwise(lambda layers, done: {name: value / done for name, value in _all(layers).items()}),
        "its value must be finite, and for progress 0 at image_fc6 it is inf",
    ),
    "all layers": (
        layerwise(lambda layers, done: _all(layers) if "text_fc6" in layers else layers["text_fc6"]),
        "for one attached layer alone it raised KeyError: 'text_fc6'",
    ),
    "in place": (function(in_place), "it changes the rows of image_fc6 in place"),
    "global draws": (function(drawing), "the global random generator of random"),
    "own seed": (function(lambda s, t: distance(s, t) * (1 + next(COUNT))), "must give the same bits"),
    "forgets": (Forgets, "what it keeps between calls belongs in state_dict"),
    "numbers for state": (States, "state_dict must hold tensors, and 'calls' is none"),
    "cannot load": (CannotLoad, "load_state_dict raised ValueError: no way back"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    build, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^discrepancy 'mine': .*{rule}"):
        assert_discrepancy_ok(spec(build))
