"""Where a training is: everything that the updates still to come depend on, and its way into a snapshot and back."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from dckt_core.base.errors import DataError
from dckt_core.base.rng import generator_for
from dckt_core.config import Config
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedSampler
from dckt_core.contract.names import NETWORKS
from dckt_core.contract.pairs import ROLES
from dckt_core.engine.position import Position, check_position, check_rows
from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Record
from dckt_core.engine.snapshot import Snapshot, load_momentum, momentum_tensors
from dckt_core.engine.watch import first_not_finite
from dckt_core.evaluation.scoring import Score
from dckt_core.method.curriculum import RowStream
from dckt_core.method.network import DomainNetwork
from dckt_core.method.optimizer import sgd

PURPOSES = ("pretrain source", "pretrain target", "transfer source", "transfer target", "selection")
"""What random draws are for; each has a generator of its own."""


@dataclass
class Best:
    """The iteration whose network scored highest on validation."""

    iteration: int
    score: Score


@dataclass
class Outcome:
    """What training came to: validation scores. Iteration 0 is the target network before transfer."""

    before: Score
    after: Best
    control: Best | None
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def harmed(self) -> bool:
        """Whether transfer was negative: on validation the network scores below its control."""
        return self.control is not None and self.after.score.mean < self.control.score.mean


@dataclass(frozen=True)
class Facts:
    """What a snapshot holds besides tensors. `restore` takes it from a file, so every type is checked."""

    at: Position
    before: Score | None
    best: dict[Literal["target", "control"], Best]
    history: list[dict[str, Any]]
    sampler: dict[str, Any]
    observers: list[dict[str, Any]]
    scaler: dict[str, Any] | None


class TrainingState:
    """The networks with all that trains them, and how far they have come.

    Args:
        networks: "source" and "target", fresh. From the beginning of transfer on there may be a "control".
        pairs: training pairs of each domain.
    """

    def __init__(
        self,
        config: Config,
        *,
        networks: Mapping[str, DomainNetwork],
        pairs: Mapping[str, int],
        sampler: GuardedSampler,
        discrepancy: GuardedDiscrepancy,
        record: Record,
        engine: Engine,
    ) -> None:
        self.config = config
        self.networks: dict[str, nn.Module] = {role: engine.prepare(network) for role, network in networks.items()}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.streams: dict[str, RowStream] = {}
        self.generators = {purpose: generator_for(config.seed, purpose) for purpose in PURPOSES}
        self.at = Position("pretrain source")
        self.before: Score | None = None
        self.best: dict[str, Best] = {}
        self._pairs = pairs
        self._sampler, self._discrepancy = sampler, discrepancy
        self._record, self._engine = record, engine

    def bare(self, role: str) -> DomainNetwork:
        """The network of a role, out of the engine's wrapper."""
        network = self._engine.bare(self.networks[role])
        assert isinstance(network, DomainNetwork)
        return network

    def learning(self, name: str) -> nn.Module:
        """What the optimizer of that name trains."""
        if name in self.networks:
            return self.bare(name)
        assert self._discrepancy.module is not None
        return self._discrepancy.module

    def outcome(self) -> Outcome:
        """What a finished training came to."""
        assert self.before is not None
        return Outcome(self.before, self.best["target"], self.best.get("control"), self._record.history)

    # --- phases ---------------------------------------------------------------------------------------------

    def begin_pretraining(self, role: str) -> None:
        """Fresh momentum and a fresh stream of one domain's rows."""
        config = self.config
        self.streams = {role: self._stream(f"pretrain {role}", torch.arange(self._pairs[role]), config.pretrain.batch)}
        self.optimizers = {role: sgd(self.bare(role), config.pretrain.lr, config.optimizer)}

    def add_control(self) -> None:
        """A twin of the target network as it is now."""
        self.networks["control"] = self._engine.prepare(deepcopy(self.bare("target")))

    def begin_transfer(self) -> None:
        """Fresh momentum for every network, and for a discrepancy that has parameters of its own."""
        if self.config.network.batch_norm == "shared":
            self.bare("target").share_statistics(self.bare("source"))
        learning: dict[str, nn.Module] = {role: self.bare(role) for role in NETWORKS if role in self.networks}
        if self._discrepancy.module is not None:
            learning["discrepancy"] = self._discrepancy.module.to(self._engine.device)
        lr, choice = self.config.transfer.lr, self.config.optimizer
        self.optimizers = {name: sgd(module, lr, choice) for name, module in learning.items()}

    def begin_iteration(self, rows: Mapping[str, Tensor]) -> None:
        """Streams over the rows of each domain that an iteration trains on."""
        batch = self.config.transfer.batch
        self.streams = {role: self._stream(f"transfer {role}", chosen, batch) for role, chosen in rows.items()}

    def _stream(self, purpose: str, rows: Tensor, batch: int) -> RowStream:
        return RowStream(rows, batch, self.generators[purpose])

    # --- there and back -------------------------------------------------------------------------------------

    def weights(self) -> dict[str, Mapping[str, Tensor]]:
        """What learns and must stay finite, by name."""
        parts: dict[str, Mapping[str, Tensor]] = {role: self.bare(role).state_dict() for role in self.networks}
        return parts | {f"momentum of {name}": momentum_tensors(opt) for name, opt in self.optimizers.items()}

    def snapshot(self) -> Snapshot:
        """All of it, as tensors and facts."""
        tensors = {f"generator/{name}": generator.get_state() for name, generator in self.generators.items()}
        parts: dict[str, Mapping[str, Tensor]] = {
            **{f"network/{role}": self.bare(role).state_dict() for role in self.networks},
            **{f"momentum/{name}": momentum_tensors(optimizer) for name, optimizer in self.optimizers.items()},
            **{f"stream/{role}": stream.state_dict() for role, stream in self.streams.items()},
            "discrepancy": self._discrepancy.state_dict(),
            "running": self._record.running(),
        }
        for part, members in parts.items():
            tensors |= {f"{part}/{name}": value for name, value in members.items()}
        facts = {
            "at": asdict(self.at),
            "before": asdict(self.before) if self.before else None,
            "best": {role: asdict(best) for role, best in self.best.items()},
            "history": self._record.history,
            "sampler": self._sampler.state_dict(),
            "observers": self._record.observer_states(),
            "scaler": self._engine.scaler_state(),
        }
        return Snapshot(tensors, facts)

    def restore(self, snapshot: Snapshot) -> None:
        """Takes back a snapshot of a training that was set up alike.

        Raises:
            DataError: it is of another configuration.
        """
        try:
            facts = TypeAdapter(Facts).validate_python(dict(snapshot.facts))
            self._check_position(facts)
            self.at, self.before = facts.at, facts.before
            self.best = {str(role): best for role, best in facts.best.items()}
            if self.at.phase == "transfer":
                if self.config.transfer.control:
                    self.add_control()
                self.begin_transfer()
                self.streams = {}  # of an iteration that has begun there are some
                if self.at.update:
                    self.begin_iteration({role: torch.arange(1) for role in ROLES})
            elif self.at.update:
                self.begin_pretraining(self.at.phase.removeprefix("pretrain "))
            self._load(snapshot)
            self._sampler.load_state_dict(facts.sampler)
            self._engine.load_scaler_state(facts.scaler)
            self._record.restore(facts.history, snapshot.under("running"), facts.observers)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise DataError(f"the checkpoint is of another configuration: {' '.join(str(error).split())}") from None

    def _load(self, snapshot: Snapshot) -> None:
        for role in self.networks:
            self.bare(role).load_state_dict(snapshot.under(f"network/{role}"))
        for name, optimizer in self.optimizers.items():
            load_momentum(optimizer, snapshot.under(f"momentum/{name}"))
        for role, stream in self.streams.items():
            rows = snapshot.under(f"stream/{role}")
            for numbers in rows.values():
                check_rows(numbers, self._pairs[role], role)
            stream.load_state_dict(rows)
        for name, generator in self.generators.items():
            generator.set_state(snapshot.tensors[f"generator/{name}"])
        self._discrepancy.load_state_dict(snapshot.under("discrepancy"))
        guilty = first_not_finite(snapshot.under("network").items())
        if guilty is not None:
            raise ValueError(f"'{guilty}' holds numbers that are not finite")

    def _check_position(self, facts: Facts) -> None:
        """Raises ValueError where this training never comes to the place that a snapshot tells of."""
        pretrain, transfer = self.config.pretrain, self.config.transfer
        updates = {
            "pretrain source": pretrain.source_updates,
            "pretrain target": pretrain.target_updates,
            "transfer": transfer.updates,
        }
        check_position(facts.at, updates, {"transfer": transfer.iterations})
        if facts.at.phase == "transfer" and facts.before is None:
            raise ValueError("the score before transfer is missing")
