"""`assert_observer_ok` passes what keeps the contract, and names the rule that a broken observer breaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dckt_core import ObserverSpec
from dckt_core.testing import assert_observer_ok


class Lines:
    """One JSON object a line; without a state."""

    def __init__(self, options: Any, context: Any) -> None:
        self.file: Path = context.run_dir / "lines.jsonl"

    def write(self, value: Any) -> None:
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(value) + "\n")

    def on_metrics(self, row: Any) -> None:
        self.write(row)

    def on_selection(self, iteration: int, rows: Any) -> None:
        self.write([iteration, len(rows)])

    def on_end(self, summary: Any) -> None:
        self.write(summary)


class Resuming(Lines):
    """Keeps as many lines as had been written at the checkpoint."""

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        self.told = 0

    def write(self, value: Any) -> None:
        super().write(value)
        self.told += 1

    def state_dict(self) -> dict[str, Any]:
        return {"told": self.told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.told = state["told"]
        lines = self.file.read_text().splitlines(keepends=True) if self.file.exists() else []
        self.file.write_text("".join(lines[: self.told]))


def spec(build: Callable[[Any, Any], Any]) -> ObserverSpec[Any]:
    return ObserverSpec(name="mine", summary="a test", build=build, api="1.0")


def changed(base: type[Lines] = Lines, **methods: Any) -> type[Lines]:
    return type("Changed", (base,), methods)


def new_file(self: Lines, value: Any) -> None:
    with self.file.open("x") as stream:
        stream.write(json.dumps(value))


def marks(self: Lines, rows: Any) -> None:
    for row in rows:
        row["seen"] = True


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": (lambda options, context: None, "build must return an observer, and NoneType has no method on_metrics"),
    "build raises": (lambda options, context: context.folder, "build raised AttributeError"),
    "no end": (changed(on_end=None), "build must return an observer, and Changed has no method on_end"),
    "half a state": (changed(state_dict=lambda self: {}), "both of state_dict and load_state_dict, or neither"),
    "metrics": (changed(on_metrics=lambda self, row: row["loss"]), "on_metrics raised KeyError: 'loss'"),
    "selection": (
        changed(on_selection=lambda self, iteration, rows: rows[9]),
        "on_selection raised IndexError: list index out of range",
    ),
    "end": (changed(on_end=lambda self, summary: summary["loss"]), "on_end raised KeyError: 'loss'"),
    "end alone": (
        changed(on_end=lambda self, summary: self.file.read_text()),
        "on_end raised FileNotFoundError",
    ),
    "changes rows": (changed(on_metrics=lambda self, row: row.update(seen=1)), "on_metrics changes what it is told"),
    "marks pairs": (changed(on_selection=lambda self, n, rows: marks(self, rows)), "on_selection changes what it is"),
    "changes the summary": (changed(on_end=lambda self, summary: summary.clear()), "on_end changes what it is told"),
    "writes into the run": (
        changed(on_end=lambda self, summary: (self.file.parent / "config.toml").write_text("mine")),
        "it changes config.toml, which is the run's own",
    ),
    "removes weights": (
        changed(on_end=lambda self, summary: (self.file.parent / "checkpoints" / "after.safetensors").unlink()),
        "it changes checkpoints/after.safetensors, which is the run's own",
    ),
    "no way on": (changed(write=new_file), "raised FileExistsError"),
    "state": (changed(Resuming, state_dict=lambda self: {"file": self.file}), "state_dict is not JSON-able"),
    "state none": (changed(Resuming, state_dict=lambda self: None), "state_dict must return a dict, not NoneType"),
    "cannot load": (
        changed(Resuming, load_state_dict=lambda self, state: state["lines"]),
        "load_state_dict raised KeyError: 'lines'",
    ),
    "environment": (
        changed(on_end=lambda self, summary: os.environ.update(LAST_RUN="x")),
        "it changes os.environ: LAST_RUN",
    ),
    "working folder": (
        changed(on_end=lambda self, summary: os.chdir(self.file.parent)),
        "it changes the working folder for the whole process",
    ),
}


@pytest.mark.parametrize("build", [Lines, Resuming])
def test_good_ones_pass(build: Any) -> None:
    assert_observer_ok(spec(build))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build, rule = BROKEN[name]
    with pytest.raises(AssertionError, match=rf"^observer 'mine': .*{rule}"):
        assert_observer_ok(spec(build))
