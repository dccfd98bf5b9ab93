"""The contract, and what this observer writes."""

import json
from pathlib import Path

import my_plugin

from dckt_core import ObserverContext
from dckt_core.testing import assert_observer_ok, installed

(SPEC,) = my_plugin.dckt_observers()


def test_the_contract() -> None:
    assert_observer_ok(SPEC)


def test_what_it_writes(tmp_path: Path) -> None:
    observer = SPEC.build(SPEC.options(), ObserverContext(run_dir=tmp_path))
    observer.on_metrics({"phase": "transfer", "iteration": 1, "update": 5, "loss": 0.5})
    observer.on_selection(2, [{"id": "a", "kept": 1}, {"id": "b", "kept": 0}])
    (first, second) = (tmp_path / "my-plugin.jsonl").read_text().splitlines()
    assert json.loads(first)["loss"] == 0.5
    assert json.loads(second) == {"phase": "selection", "iteration": 2, "kept": 1}


def test_dckt_finds_it() -> None:
    """By its entry point: after `pip install -e .`"""
    assert installed("observer", "my-plugin") == SPEC
