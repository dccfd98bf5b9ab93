"""Parts as a configuration has them, and what they give for the same inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dckt_core.contract.discovery import Registered, blame
from dckt_core.contract.guards import GuardedPart
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import PartContext


@dataclass(frozen=True)
class ChosenPart:
    """A part as a configuration has it.

    Attributes:
        name: as the configuration calls it.
        options: of its plugin, parsed.
        earn: it stays only where validation says that it adds.
        among: further weights that validation may choose.
    """

    name: str
    plugin: Registered
    options: Any
    weight: float
    earn: bool = False
    among: tuple[float, ...] = ()

    def build(self, context: PartContext) -> GuardedPart:
        with blame(self.plugin):
            return GuardedPart(self.plugin.spec.build(self.options, context), self.plugin)


class Rows(Mapping[str, Tensor]):
    """What parts give for the same inputs of one medium [n, ...], each computed once, when it is first asked for."""

    def __init__(self, parts: Mapping[str, GuardedPart], medium: Medium, inputs: Tensor) -> None:
        self._parts, self._medium, self._inputs = parts, medium, inputs
        self._rows: dict[str, Tensor] = {}
        self._begun: set[str] = set()

    @torch.no_grad()
    def __getitem__(self, name: str) -> Tensor:
        if name not in self._rows:
            if name in self._begun:
                raise KeyError(f"part '{name}' builds on itself")
            self._begun.add(name)
            self._rows[name] = self._parts[name].rows(self._medium, self._inputs, self)
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
