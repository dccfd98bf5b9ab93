"""`assert_sampler_ok` passes what keeps the contract, and names the rule that a broken sampler breaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dckt_core import SamplerSpec
from dckt_core.contract.protocols import Selection
from dckt_core.testing import assert_sampler_ok


class RandomHalf:
    """A random half of the pairs, never one that was left out the last time; asks for every view there is."""

    def __init__(self, options: Any = None, context: Any = None) -> None:
        self.left: list[int] = []

    def select(self, state: Any) -> Selection:
        for name in ("image_fc6", "common_fc9"):
            state.layer("source", name), state.layer("target", name)
        certain = state.target_by_source().text.amax(dim=1) + state.target_by_target().image.amax(dim=1)
        order = torch.randperm(len(state.labels), generator=state.generator)
        order = torch.tensor(self.left + [row for row in order.tolist() if row not in self.left])
        rows = order[: (len(order) + 1) // 2]
        self.left = sorted(set(range(len(order))) - set(rows.tolist()))
        details = {"loss": state.target_losses(), "certain": certain}
        return Selection(indices=rows, source_indices=torch.arange(len(state.source_labels)), details=details)

    def state_dict(self) -> dict[str, Any]:
        return {"left": self.left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.left = list(state["left"])


def spec(build: Callable[[Any, Any], Any]) -> SamplerSpec[Any]:
    return SamplerSpec(name="mine", summary="a test", build=build, api="1.0")


def selecting(select: Callable[[Any], Any], **methods: Any) -> Callable[[Any, Any], Any]:
    """Builds a sampler without memory."""
    members: dict[str, Any] = {
        "select": lambda self, state: select(state),
        "state_dict": lambda self: {},
        "load_state_dict": lambda self, state: None,
    }
    cls = type("Made", (), {name: value for name, value in (members | methods).items() if value is not None})
    return lambda options, context: cls()


def everything(state: Any, **fields: Any) -> Selection:
    return Selection(**{"indices": torch.arange(len(state.labels)), **fields})


def details(name: str, values: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return selecting(lambda state: everything(state, details={name: values(state)}))


def spoils(state: Any) -> Selection:
    state.target_by_source().image.zero_()
    return everything(state)


def a_third(state: Any) -> Selection:
    return Selection(indices=torch.arange(len(state.labels) // 3))


def shuffled(state: Any, draw: Callable[[int], Tensor]) -> Selection:
    return Selection(indices=draw(len(state.labels)))


def by_numpy(state: Any) -> Selection:
    return shuffled(state, lambda count: torch.from_numpy(np.random.permutation(count)))


def seeded(state: Any) -> Selection:
    torch.manual_seed(state.iteration)
    return shuffled(state, torch.randperm)


def last_rows() -> Callable[[Any, Any], Any]:
    clock = iter(range(10**6))
    return selecting(lambda state: Selection(indices=torch.tensor([next(clock) % len(state.labels)])))


class Forgets(RandomHalf):
    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class KeepsTensors(RandomHalf):
    def state_dict(self) -> dict[str, Any]:
        return {"left": torch.tensor(self.left)}


def of_iteration(context: Any) -> Callable[[Any, Any], Any]:
    return selecting(lambda state: everything(state, details={"share": state.labels / (context.iterations - 1)}))


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda options, context: None, "build must return a sampler, and NoneType has no method select"),
    "no state": (selecting(everything, state_dict=None), "build must return a sampler, and Made has no method state_d"),
    "build raises": (lambda options, context: {}[1], "build raised KeyError: 1"),
    "raises": (selecting(lambda state: 1 / 0), "select, for 24 pairs in iteration 1, raised ZeroDivisionError"),
    "tensor": (selecting(lambda state: torch.arange(3)), "select must return a Selection, not Tensor"),
    "none kept": (selecting(lambda state: Selection(indices=torch.arange(0))), "target rows must be a non-empty int64"),
    "mask": (selecting(lambda state: Selection(indices=state.labels > 0)), "target rows must be a non-empty int64"),
    "out of range": (selecting(lambda s: Selection(indices=torch.tensor([24]))), "target rows are out of range"),
    "source rows": (
        selecting(lambda state: everything(state, source_indices=torch.tensor([-1]))),
        "source rows are out of range: there are 30 source training pairs",
    ),
    "detail's shape": (details("ap", lambda state: torch.ones(3)), r"detail 'ap' must be a tensor of shape \(24,\)"),
    "detail's value": (details("ap", lambda state: state.labels / 0), "detail 'ap' must be finite"),
    "detail's name": (details("kept", lambda state: state.labels), "a detail may not be called 'kept'"),
    "spoils": (selecting(spoils), "it changes what the state shows in place"),
    "two pairs": (selecting(a_third), "select, for 2 pairs in iteration 1, raised|must be a non-empty int64"),
    "global draws": (selecting(by_numpy), "the global random generator of numpy"),
    "global seeds": (selecting(seeded), "it draws from, or seeds, the global random generator of torch"),
    "own memory": (last_rows(), "with the same seed it must select the same rows with the same details"),
    "forgets": (Forgets, "with its state_dict loaded after iteration 1 it must select the same rows"),
    "state of tensors": (KeepsTensors, "state_dict is not JSON-able"),
    "state none": (selecting(everything, state_dict=lambda self: None), "state_dict must return a dict, not NoneType"),
    "one iteration": (
        lambda options, context: of_iteration(context)(options, context),
        "detail 'share' must be finite",
    ),
}


def test_a_good_one_passes() -> None:
    assert_sampler_ok(spec(RandomHalf))
    assert_sampler_ok(spec(selecting(everything)))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str) -> None:
    build, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^sampler 'mine': .*({rule})"):
        assert_sampler_ok(spec(build))
