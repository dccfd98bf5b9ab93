"""`my-plugin`: an observer of training for dckt. As it stands, one JSON object a line; tell your own tracker here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dckt_core import ObserverSpec, hookimpl

if TYPE_CHECKING:
    from dckt_core import ObserverContext


@hookimpl
def dckt_observers() -> list[ObserverSpec[Any]]:
    return [ObserverSpec(name="my-plugin", summary="one JSON object a line", build=Lines, api="1.0")]


class Lines:
    """Writes `my-plugin.jsonl` into the run folder."""

    def __init__(self, options: object, context: ObserverContext) -> None:
        self.file = context.run_dir / "my-plugin.jsonl"
        self.told = 0

    def on_metrics(self, row: Mapping[str, Any], /) -> None:
        """`phase`, `iteration` and `update` say when; all other values are numbers."""
        self._write(dict(row))

    def on_selection(self, iteration: int, rows: Sequence[Mapping[str, Any]], /) -> None:
        """A row for each target pair, with `id`, `kept` and what the sampler tells of it."""
        self._write({"phase": "selection", "iteration": iteration, "kept": sum(bool(row["kept"]) for row in rows)})

    def on_end(self, summary: Mapping[str, Any], /) -> None:
        """What `summary.json` holds."""
        self._write({"phase": "end", "test": summary.get("test")})

    def state_dict(self) -> dict[str, Any]:
        """How much was told by a checkpoint. May be left out, with `load_state_dict`, where that does not matter."""
        return {"told": self.told}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """A run goes on from a checkpoint: what came after it will be told anew."""
        self.told = state["told"]
        lines = self.file.read_text("utf-8").splitlines(keepends=True) if self.file.exists() else []
        self.file.write_text("".join(lines[: self.told]), "utf-8")

    def _write(self, value: Mapping[str, Any]) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
        self.told += 1
