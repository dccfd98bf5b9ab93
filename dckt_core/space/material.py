"""What the parts of the common space are fitted on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dckt_core.base.progress import logger
from dckt_core.base.rng import generator_for
from dckt_core.contract.guards import GuardedPart
from dckt_core.contract.pairs import Medium, Role
from dckt_core.contract.protocols import Known, Sampler
from dckt_core.data.domain import Domain
from dckt_core.data.known import known, known_split
from dckt_core.space.parts import Rows


class FittingMaterial:
    """A `protocols.Material`: what is known of both domains, and the parts that were fitted so far.

    Args:
        source, target, validation: make what is known of the two domains, and of the target's validation pairs.
        probe: inputs of one item of a medium.
        sampler: the run's own.
    """

    def __init__(
        self,
        *,
        seed: int,
        source: Callable[[], Known],
        target: Callable[[], Known],
        validation: Callable[[], Known],
        probe: Callable[[Medium], Tensor],
        sampler: Sampler,
    ) -> None:
        self.seed, self.sampler, self.probe = seed, sampler, probe
        self.parts: dict[str, GuardedPart] = {}
        self.notes: list[tuple[str, str]] = []
        self._make = {"source": source, "target": target, "validation": validation}
        self._known: dict[str, Known] = {}
        self._part = ""

    def beginning(self, part: str) -> FittingMaterial:
        """The same, for the part of that name."""
        self._part = part
        return self

    @property
    def source(self) -> Known:
        return self._look("source")

    @property
    def target(self) -> Known:
        return self._look("target")

    @property
    def validation(self) -> Known:
        return self._look("validation")

    def _look(self, what: str) -> Known:
        if what not in self._known:
            self._known[what] = self._make[what]()
        return self._known[what]

    def generator(self, purpose: str) -> torch.Generator:
        return generator_for(self.seed, f"part {self._part}: {purpose}")

    def rows(self, part: str, medium: Medium, features: Tensor) -> Tensor:
        return Rows(self.parts, medium, features)[part]

    def note(self, text: str) -> None:
        self.notes.append((self._part, text))
        logger.info("part '%s': %s", self._part, text)


def material_of(
    domain: Callable[[Role], Domain], sampler: Sampler, *, seed: int, device: torch.device
) -> FittingMaterial:
    """The material of two domains, each asked for when a part looks at it; networks are on the device."""

    def probe(medium: Medium) -> Tensor:
        train = domain("source").train
        inputs: Tensor = (train.image if medium == "image" else train.text)[torch.arange(min(1, len(train)))]
        return inputs.to(device)

    return FittingMaterial(
        seed=seed,
        source=lambda: known(domain("source")),
        target=lambda: known(domain("target")),
        validation=lambda: known_split(domain("target"), "val"),
        probe=probe,
        sampler=sampler,
    )
