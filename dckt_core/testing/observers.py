"""`assert_observer_ok`: the rules of `protocols.Observer` over the lives of made-up runs."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dckt_core.contract.guards import GuardedObserver
from dckt_core.contract.protocols import ObserverContext
from dckt_core.contract.specs import ObserverSpec
from dckt_core.runs.layout import Layout
from dckt_core.testing.rules import Subject

Event = tuple[str, tuple[Any, ...]]
"""Name of a method and its arguments."""

SUMMARY = {"preset": "paper", "seed": 0, "test": {"map": {"after": {"mean": {"value": 0.5}}}}, "seconds": 1.5}


def assert_observer_ok(spec: ObserverSpec[Any], options: Any = None) -> None:
    """Builds an observer several times and takes it through whole runs.

    A run as training tells it; one that tells nothing; one that goes on from each checkpoint, with what `state_dict`
    gave; one that begins anew in its folder. It changes neither what it is told nor the run's own files nor anything
    global.

    Args:
        options: an instance of `spec.options`; its defaults by default.

    Raises:
        AssertionError: a rule is broken; one sentence with the spec's name and the rule.
    """
    subject = Subject(spec, "observer", options)
    check = _Check(subject)
    with subject.leaves_alone(first_build=True):
        check.run(lambda observer, folder: None)
    with subject.leaves_alone():
        check.run(lambda observer, folder: check.tell(observer, _story()))
        check.run(lambda observer, folder: check.tell(observer, _story()[-1:]))
        for told in range(len(_story())):
            check.run(partial(check.goes_on, told))


class _Check:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.require = subject, subject.require

    def run(self, live: Callable[[GuardedObserver, Path], None]) -> None:
        """A life in a run folder of its own, whose other files stay as they are."""
        with tempfile.TemporaryDirectory() as name:
            files = Layout(Path(name))
            files.checkpoints.mkdir()
            of_the_run = [files.config, files.environment, files.model, files.checkpoint("after")]
            for file in of_the_run:
                file.write_text(f"what {file} holds")
            live(self.build(files.path), files.path)
            for file in of_the_run:
                whole = file.is_file() and file.read_text() == f"what {file} holds"
                self.require(whole, f"it changes {file.relative_to(files.path)}, which is the run's own")

    def build(self, folder: Path) -> GuardedObserver:
        with self.subject.blamed("build"):
            built = self.subject.spec.build(self.subject.options, ObserverContext(run_dir=folder))
            guarded = GuardedObserver(built, self.subject.registered)
        both = hasattr(built, "state_dict") == hasattr(built, "load_state_dict")
        self.require(both, "it must have both of state_dict and load_state_dict, or neither")
        return guarded

    def tell(self, observer: GuardedObserver, story: list[Event]) -> None:
        for method, told in story:
            kept = copy.deepcopy(told)
            with self.subject.blamed(method):
                getattr(observer, method)(*told)
            self.require(told == kept, f"{method} changes what it is told")

    def goes_on(self, told: int, observer: GuardedObserver, folder: Path) -> None:
        """Stopped after a while, with `told` events at the last checkpoint; then another process goes on from there."""
        self.tell(observer, _story()[:told])
        state = self.state(observer)
        self.tell(observer, _story()[told:-1])
        again = self.build(folder)
        with self.subject.blamed("load_state_dict"):
            again.load_state_dict(state)
        self.tell(again, _story()[told:])
        self.state(again)

    def state(self, observer: GuardedObserver) -> Any:
        with self.subject.blamed("state_dict"):
            state = observer.state_dict()
        self.require(isinstance(state, dict), f"state_dict must return a dict, not {type(state).__name__}")
        return self.subject.json_round_trip(state, "state_dict")


def _story() -> list[Event]:
    """What training tells: each phase measures something else, and samplers have details of their own."""

    def metrics(phase: str, iteration: int, update: int, **values: float) -> Event:
        return "on_metrics", ({"phase": phase, "iteration": iteration, "update": update, **values},)

    def selection(iteration: int) -> Event:
        rows = [{"id": f'pair, "{n}"', "kept": (n + iteration) % 2, "ap": n / 4, "loss": 1.5} for n in range(4)]
        return "on_selection", (iteration, rows)

    story = [metrics("pretrain source", 0, 5, source_semantic=2.0, source_pair_fc6=0.25)]
    story += [metrics("pretrain target", 0, 5, target_semantic=1.5)]
    story += [metrics("validation", 0, 0, target_mean=0.25)]
    for iteration in (1, 2):
        story += [
            metrics("selection", iteration, 0, kept=2.0, kept_share=0.5, ap_mean=0.375),
            selection(iteration),
            metrics("transfer", iteration, 10, source_semantic=1.0, discrepancy_image_fc6=1e-3),
            metrics("validation", iteration, 10, target_mean=0.5, control_mean=0.25),
        ]
    return [*story, ("on_end", (copy.deepcopy(SUMMARY),))]
