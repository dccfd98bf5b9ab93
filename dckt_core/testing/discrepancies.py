"""`assert_discrepancy_ok`: the rules of `protocols.Discrepancy` on made-up layers of two domains."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.contract.guards import GuardedDiscrepancy
from dckt_core.contract.names import LAYERS
from dckt_core.contract.protocols import DiscrepancyContext
from dckt_core.contract.specs import DiscrepancySpec
from dckt_core.testing.material import layer_rows, layer_widths
from dckt_core.testing.rules import Subject

UPDATES = 10
MIDDLE = 0.5
"""Share of the transfer phase at which gradients are asked for: schedules may start them at zero."""

Layers = Mapping[str, tuple[Tensor, Tensor]]
Values = Mapping[str, Tensor]


def assert_discrepancy_ok(spec: DiscrepancySpec[Any], options: Any = None) -> None:
    """Builds a discrepancy several times and holds it to the contract.

    One finite, differentiable scalar a layer, also for two rows, for equal domains and for rows that are all zero; a
    gradient that moves the rows apart or together; the same seed gives the same bits; what it keeps between calls
    comes back from `state_dict`; it leaves its inputs and everything global alone.

    Args:
        options: an instance of `spec.options`; its defaults by default.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
    """
    subject = Subject(spec, "discrepancy", options)
    check = _Check(subject)
    with subject.leaves_alone(first_build=True):
        check.build()
    with subject.leaves_alone():  # first, since who draws from a global generator breaks the rules below too
        check.values_and_gradients()
    with subject.leaves_alone():
        check.edges()
        check.same_seed()
        check.resumes()


class _Check:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.require = subject, subject.require

    def build(self, attached: Sequence[str] = LAYERS) -> GuardedDiscrepancy:
        widths = {name: width for name, width in layer_widths().items() if name in attached}
        context = DiscrepancyContext(seed=0, layers=widths, updates=UPDATES)
        with self.subject.blamed("build"):
            built = self.subject.spec.build(self.subject.options, context)
        usable = callable(getattr(built, "many", built))
        self.require(usable, f"build must return a function or an object with many, not {type(built).__name__}")
        return GuardedDiscrepancy(built, self.subject.registered)

    def values(
        self, discrepancy: GuardedDiscrepancy, layers: Layers, progress: float, case: str
    ) -> Mapping[str, Tensor]:
        """The layers' values, finite, and every input as it was."""
        before = {name: (source.detach().clone(), target.detach().clone()) for name, (source, target) in layers.items()}
        with self.subject.blamed(f"for {case} it"):
            values = discrepancy.many(layers, progress)
        for name, value in values.items():
            self.require(
                value.is_floating_point() and torch.isfinite(value),
                f"its value must be finite, and for {case} at {name} it is {value.detach().item()}",
            )
            same = all(torch.equal(old, new) for old, new in zip(before[name], layers[name], strict=True))
            self.require(same, f"it changes the rows of {name} in place")
        return values

    def gradients(self, values: Values, layers: Layers, case: str) -> dict[str, list[Tensor]]:
        """Each layer's gradients of the sum of all values, source and target; zeros where there is none."""
        rows = [tensor for pair in layers.values() for tensor in pair]
        with self.subject.blamed("the backward pass"):
            torch.autograd.backward(list(values.values()))
        for row in rows:
            row.grad = torch.zeros_like(row) if row.grad is None else row.grad
        found = {name: [row.grad for row in pair if row.grad is not None] for name, pair in layers.items()}
        for name, pair in found.items():
            good = all(torch.isfinite(gradient).all() for gradient in pair)
            self.require(good, f"its gradient must be finite, and for {case} at {name} it is not")
        return found

    def values_and_gradients(self) -> None:
        discrepancy, layers = self.build(), layer_rows(0)
        values = self.values(discrepancy, layers, MIDDLE, "two domains that differ")
        found = self.gradients(values, layers, "two domains that differ")
        for name, pair in found.items():
            moved = any(gradient.abs().max() > 0 for gradient in pair)
            self.require(moved, f"its gradient at {name} is zero for source and target rows that differ")
        module = discrepancy.module
        if module is not None:
            self.check_parameters(module)
        for progress in (0.0, 1.0):
            self.values(discrepancy, layer_rows(1), progress, f"progress {progress:g}")

    def check_parameters(self, module: nn.Module) -> None:
        """Those that train along have joined in the backward pass."""
        named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
        for name, parameter in named:
            good = parameter.grad is not None and torch.isfinite(parameter.grad).all()
            self.require(good, f"its parameter {name} gets no finite gradient, and would never be trained")

    def edges(self) -> None:
        """What training comes to: the smallest batch, layers whose units all rest, domains that coincide."""
        layers = layer_rows(2)
        cases: dict[str, Layers] = {
            "two rows a domain": layer_rows(2, pairs=2),
            "rows that are all zero": {
                name: _leaves(source * 0, target * 0) for name, (source, target) in layers.items()
            },
            "equal source and target rows": {name: _leaves(source, source) for name, (source, _) in layers.items()},
        }
        for case, rows in cases.items():
            values = self.values(self.build(), rows, MIDDLE, case)
            self.gradients(values, rows, case)
        last = LAYERS[-1]
        self.values(self.build([last]), {last: layers[last]}, MIDDLE, "one attached layer alone")

    def same_seed(self) -> None:
        one, other = self.build(), self.build()
        for step in range(3):
            first = self.values(one, layer_rows(step), step / UPDATES, "a batch")
            second = self.values(other, layer_rows(step), step / UPDATES, "a batch")
            self.require(_equal(first, second), "built twice under one seed it must give the same bits")

    def resumes(self) -> None:
        """A run that goes on builds it anew and hands back its state: the values to come are the same."""
        whole = self.build()
        for step in range(2):
            self.values(whole, layer_rows(step), step / UPDATES, "a batch")
        with self.subject.blamed("state_dict"):
            state = copy.deepcopy(whole.state_dict())
        for name, value in state.items():
            self.require(isinstance(value, Tensor), f"state_dict must hold tensors, and '{name}' is none")
        resumed = self.build()
        with self.subject.blamed("load_state_dict"):
            resumed.load_state_dict(state)
        expected = self.values(whole, layer_rows(2), 2 / UPDATES, "a batch")
        found = self.values(resumed, layer_rows(2), 2 / UPDATES, "a batch")
        self.require(
            _equal(expected, found),
            "with its state_dict loaded into one built again it must go on with the same bits: what it keeps between "
            "calls belongs in state_dict",
        )


def _leaves(source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    return source.detach().clone().requires_grad_(), target.detach().clone().requires_grad_()


def _equal(one: Values, other: Values) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())
