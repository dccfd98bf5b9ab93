"""`assert_sampler_ok`: the rules of `protocols.Sampler` over made-up progressive iterations."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.rng import generator_for
from dckt_core.contract.guards import GuardedSampler
from dckt_core.contract.protocols import SamplerContext, Selection
from dckt_core.contract.specs import SamplerSpec
from dckt_core.testing.material import MadeUpState
from dckt_core.testing.rules import Subject

ITERATIONS = 4
ROW_KEYS = frozenset({"id", "kept", "iteration"})
"""Columns of `selection.csv` that are dckt's own."""


def assert_sampler_ok(spec: SamplerSpec[Any], options: Any = None) -> None:
    """Builds a sampler several times and holds it to the contract.

    Selections in range, in every iteration, also for one iteration alone and for two pairs; finite details; the same
    seed gives the same selections; what it remembers comes back from `state_dict`; it leaves what it is shown and
    everything global alone.

    Args:
        options: an instance of `spec.options`; its defaults by default.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
    """
    subject = Subject(spec, "sampler", options)
    check = _Check(subject)
    with subject.leaves_alone(first_build=True):
        check.build()
    with subject.leaves_alone():  # first, since who draws from a global generator breaks the rules below too
        whole = check.selections(check.build())
    with subject.leaves_alone():
        again = check.selections(check.build())
        subject.require(_equal(whole, again), "with the same seed it must select the same rows with the same details")
        check.resumes(whole)
        check.selections(check.build(iterations=1), iterations=1)
        check.selections(check.build(), pairs=2, classes=2, source_pairs=2, source_classes=2)


class _Check:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.require = subject, subject.require

    def build(self, *, iterations: int = ITERATIONS) -> GuardedSampler:
        with self.subject.blamed("build"):
            built = self.subject.spec.build(self.subject.options, SamplerContext(iterations=iterations))
            return GuardedSampler(built, self.subject.registered)

    def selections(self, sampler: GuardedSampler, *, iterations: int = ITERATIONS, **sizes: int) -> list[Selection]:
        """Those of a whole training."""
        generator = generator_for(0, "selection")
        return [self.select(sampler, MadeUpState(n, generator, **sizes)) for n in range(1, iterations + 1)]

    def select(self, sampler: GuardedSampler, state: MadeUpState) -> Selection:
        before = [tensor.clone() for tensor in state.tensors()]
        with self.subject.blamed(f"select, for {len(state.labels)} pairs in iteration {state.iteration},"):
            selection = sampler.select(state)
        for name, values in selection.details.items():
            self.require(name not in ROW_KEYS, f"a detail may not be called '{name}': selection.csv has such a column")
            self.require(torch.isfinite(values).all(), f"detail '{name}' must be finite")
        same = all(torch.equal(old, new) for old, new in zip(before, state.tensors(), strict=True))
        self.require(same, "it changes what the state shows in place")
        return selection

    def resumes(self, whole: list[Selection]) -> None:
        """A run that goes on after any iteration builds it anew, hands back its state, and selects the same."""
        for last in range(ITERATIONS):
            sampler, generator = self.build(), generator_for(0, "selection")
            for n in range(1, last + 1):
                self.select(sampler, MadeUpState(n, generator))
            with self.subject.blamed("state_dict"):
                state = sampler.state_dict()
            self.require(isinstance(state, dict), f"state_dict must return a dict, not {type(state).__name__}")
            kept = self.subject.json_round_trip(state, "state_dict")
            resumed = self.build()
            with self.subject.blamed("load_state_dict"):
                resumed.load_state_dict(copy.deepcopy(kept))
            rest = [self.select(resumed, MadeUpState(n, generator)) for n in range(last + 1, ITERATIONS + 1)]
            self.require(
                _equal(whole[last:], rest),
                f"with its state_dict loaded after iteration {last} it must select the same rows as without a break: "
                "what it remembers belongs in state_dict",
            )


def _equal(one: list[Selection], other: list[Selection]) -> bool:
    return all(_same(first, second) for first, second in zip(one, other, strict=True))


def _same(one: Selection, other: Selection) -> bool:
    first, second = _tensors(one), _tensors(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _tensors(selection: Selection) -> dict[str, Tensor]:
    rows = {"indices": selection.indices}
    if selection.source_indices is not None:
        rows["source_indices"] = selection.source_indices
    return rows | {f"detail {name}": values for name, values in selection.details.items()}
