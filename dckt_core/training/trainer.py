"""Progressive transfer, from two untrained networks to a target network that learnt from the source. Top to bottom.

    0. pre-train the source network on S and the target network on T, each alone
    1. for iteration = 1..K
         a-c. the sampler looks at all target pairs through the networks as they are and chooses some
         d.   both networks learn jointly, on S and the chosen pairs, tied by the discrepancy alone
         e.   the target network is scored on the validation split; the best one is kept

Where a control is asked for, a twin of the target network starts from the same pre-training and sees the same
batches, without the source: the difference between the two is what transfer gave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.config import Config
from dckt_core.data.domain import Domain
from dckt_core.errors import DivergedError, UsageError
from dckt_core.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.network import DomainNetwork
from dckt_core.progress import Progress, logger, silent
from dckt_core.protocols import Selection
from dckt_core.rng import generator_for
from dckt_core.training.engine import Engine
from dckt_core.training.learner import decayed_rate, set_rate, sgd
from dckt_core.training.objective import Loss, domain_loss, transfer_loss
from dckt_core.training.scoring import Score, score
from dckt_core.training.stream import RowStream, repeat_in_order
from dckt_core.training.views import LiveSamplerState

CURVE_POINTS = 20
"""Rows of the learning curve that each phase or iteration leaves in the metrics."""

Save = Callable[[str, DomainNetwork], None]


@dataclass
class Learner:
    """A network and the optimizer that trains it, both prepared by the engine."""

    network: nn.Module
    optimizer: torch.optim.Optimizer

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


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


class Trainer:
    """Trains a target network with the help of a source domain.

    Args:
        networks: "source" and "target", fresh.
        save: called as `save("before" | "after" | "control" | "source", network)` whenever that network is the
            one to keep.
    """

    def __init__(
        self,
        config: Config,
        *,
        source: Domain,
        target: Domain,
        networks: Mapping[str, DomainNetwork],
        sampler: GuardedSampler,
        discrepancy: GuardedDiscrepancy,
        engine: Engine,
        save: Save,
        observers: Sequence[GuardedObserver] = (),
        progress: Progress = silent,
    ) -> None:
        for name, schedule in (("pretrain", config.pretrain), ("transfer", config.transfer)):
            share = schedule.batch // engine.processes
            if schedule.batch % engine.processes or share < 2:
                raise UsageError(
                    f"{name}.batch = {schedule.batch} must give each of {engine.processes} processes "
                    "the same number of pairs, 2 or more"
                )
        self.config = config
        self.domains = {"source": source, "target": target}
        self.networks = dict(networks)
        self.sampler = sampler
        self.discrepancy = discrepancy
        self.engine = engine
        self.save = save
        self.observers = observers
        self.progress = progress
        self.attachments = config.loss.attachments()
        self.generators = {
            purpose: generator_for(config.seed, purpose)
            for purpose in ("pretrain source", "pretrain target", "transfer source", "transfer target", "selection")
        }
        self.history: list[dict[str, Any]] = []
        self._running: dict[str, list[Tensor]] = defaultdict(list)

    # --- the story ------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """The whole of it.

        Raises:
            DivergedError: a loss is not finite.
            PluginError: the sampler or the discrepancy broke its contract.
        """
        config = self.config
        self._pretrain("source", config.pretrain.source_updates)
        self._pretrain("target", config.pretrain.target_updates)
        before = self._score("target")
        self.save("before", self._bare("target"))
        self._row("validation", 0, 0, before.as_row("target"))

        if config.transfer.control:
            self.networks["control"] = deepcopy(self._bare("target"))
        if config.network.target_init == "source":
            self._bare("target").start_from(self._bare("source"))
        roles = [role for role in ("source", "target", "control") if role in self.networks]
        self._learners = {role: self._learner(role, config.transfer.lr) for role in roles}
        self._discrepancy_learner = self._own_learner(self.discrepancy.module)

        after: Best | None = None
        control: Best | None = None
        for iteration in range(1, config.transfer.iterations + 1):
            selection = self._select(iteration)
            self._transfer(iteration, selection)
            reached = self._score("target")
            self._row("validation", iteration, config.transfer.updates, reached.as_row("target"))
            if after is None or reached.mean > after.score.mean:
                after = Best(iteration, reached)
                self.save("after", self._bare("target"))
                self.save("source", self._bare("source"))
            if "control" in self.networks:
                reached = self._score("control")
                self._row("validation", iteration, config.transfer.updates, reached.as_row("control"))
                if control is None or reached.mean > control.score.mean:
                    control = Best(iteration, reached)
                    self.save("control", self._bare("control"))
        assert after is not None
        return Outcome(before, after, control, self.history)

    # --- step 0 ---------------------------------------------------------------------------------------------

    def _pretrain(self, role: str, updates: int) -> None:
        """One network alone on its own domain: semantic and pair losses."""
        config, data = self.config, self.domains[role].train
        learner = self._learner(role, config.pretrain.lr)
        rows = torch.arange(len(data))
        stream = RowStream(rows, config.pretrain.batch, self.generators[f"pretrain {role}"])
        phase = f"pretrain {role}"
        for update in range(1, updates + 1):
            for _ in self.engine.micro_batches(config.pretrain.accumulation, [learner.network]):
                chosen = self.engine.share(stream.next())
                batch = data.batch(chosen, self.engine.device)
                outputs = learner.network(batch.image, batch.text)
                loss = domain_loss(outputs, batch.labels, semantic_weight=1.0, pair=config.loss.pair, domain=role)
                self._check(loss, phase, update, {role: chosen})
                self.engine.backward(loss.total / config.pretrain.accumulation)
            learner.step()
            self._curve(phase, 0, update, updates)
            self.progress(update, updates, phase)

    # --- steps 1a to 1c -------------------------------------------------------------------------------------

    def _select(self, iteration: int) -> Selection:
        """The sampler's choice, the same on every process."""
        state = LiveSamplerState(
            iteration=iteration,
            source=(self.networks["source"], self.domains["source"]),
            target=(self.networks["target"], self.domains["target"]),
            generator=self.generators["selection"],
            engine=self.engine,
        )
        selection = self.engine.from_main(self.sampler.select(state))
        pairs = self.domains["target"].train.pairs
        kept = torch.zeros(len(pairs), dtype=torch.bool)
        kept[selection.indices] = True
        row: dict[str, float] = {"kept": float(kept.sum()), "kept_share": float(kept.double().mean())}
        for name, values in selection.details.items():
            values = values.double()
            row[f"{name}_mean"] = float(values.mean())
            for part, mask in (("kept", kept), ("left", ~kept)):
                if mask.any():
                    row[f"{name}_{part}"] = float(values[mask].mean())
        self._row("selection", iteration, 0, row)
        logger.info("iteration %d: %d of %d target pairs kept", iteration, int(kept.sum()), len(pairs))
        details = {name: values.tolist() for name, values in selection.details.items()}
        rows = [
            {"id": pair.id, "kept": int(kept[q]), **{name: values[q] for name, values in details.items()}}
            for q, pair in enumerate(pairs)
        ]
        if self.engine.is_main:
            for observer in self.observers:
                observer.on_selection(iteration, rows)
        return selection

    # --- step 1d --------------------------------------------------------------------------------------------

    def _transfer(self, iteration: int, selection: Selection) -> None:
        """Joint updates on the source's rows and the kept target rows, repeated in order to the full count."""
        config, engine = self.config, self.engine
        source, target = self.domains["source"].train, self.domains["target"].train
        source_rows = torch.arange(len(source)) if selection.source_indices is None else selection.source_indices
        target_rows = repeat_in_order(selection.indices, len(target))
        source_stream = RowStream(source_rows, config.transfer.batch, self.generators["transfer source"])
        target_stream = RowStream(target_rows, config.transfer.batch, self.generators["transfer target"])
        learners = list(self._learners.values())
        total_updates = config.transfer.iterations * config.transfer.updates
        phase = f"transfer iteration {iteration} of {config.transfer.iterations}"
        for update in range(1, config.transfer.updates + 1):
            done = (iteration - 1) * config.transfer.updates + update - 1
            rate = decayed_rate(config.transfer.lr, config.transfer.lr_gamma, config.transfer.lr_power, done)
            for learner in [*learners, *filter(None, [self._discrepancy_learner])]:
                set_rate(learner.optimizer, rate)
            for _ in engine.micro_batches(config.transfer.accumulation, [learner.network for learner in learners]):
                rows = {"source": engine.share(source_stream.next()), "target": engine.share(target_stream.next())}
                loss = self._joint_loss(rows, done / total_updates)
                self._check(loss, phase, update, rows)
                engine.backward(loss.total / config.transfer.accumulation)
                if "control" in self._learners:
                    loss = self._target_only_loss(rows["target"])
                    self._check(loss, phase, update, {"target": rows["target"]})
                    engine.backward(loss.total / config.transfer.accumulation)
            for learner in learners:
                learner.step()
            if self._discrepancy_learner is not None:
                engine.average_gradients(self._discrepancy_learner.network)
                self._discrepancy_learner.step()
            self._curve("transfer", iteration, update, config.transfer.updates)
            self.progress(update, config.transfer.updates, phase)

    def _joint_loss(self, rows: Mapping[str, Tensor], progress: float) -> Loss:
        """All losses of both domains, and the discrepancy between them."""
        config = self.config
        outputs, losses = {}, []
        for role, weight in (("source", config.loss.semantic.source), ("target", config.loss.semantic.target)):
            batch = self.domains[role].train.batch(rows[role], self.engine.device)
            outputs[role] = self.networks[role](batch.image, batch.text)
            losses.append(
                domain_loss(outputs[role], batch.labels, semantic_weight=weight, pair=config.loss.pair, domain=role)
            )
        if self.attachments:
            losses.append(
                transfer_loss(
                    outputs["source"],
                    outputs["target"],
                    discrepancy=self.discrepancy,
                    weights=self.attachments,
                    progress=progress,
                )
            )
        total = sum((loss.total for loss in losses[1:]), start=losses[0].total)
        return Loss(total, {name: term for loss in losses for name, term in loss.terms.items()})

    def _target_only_loss(self, rows: Tensor) -> Loss:
        """The control's: the target domain's own losses on the same rows."""
        config = self.config
        batch = self.domains["target"].train.batch(rows, self.engine.device)
        outputs = self.networks["control"](batch.image, batch.text)
        weight = config.loss.semantic.target
        return domain_loss(outputs, batch.labels, semantic_weight=weight, pair=config.loss.pair, domain="control")

    # --- helpers --------------------------------------------------------------------------------------------

    def _learner(self, role: str, lr: float) -> Learner:
        bare = self._bare(role)
        self.networks[role], optimizer = self.engine.prepare(bare, sgd(bare, lr, self.config.optimizer))
        return Learner(self.networks[role], optimizer)

    def _own_learner(self, module: nn.Module | None) -> Learner | None:
        """An optimizer for a discrepancy that has parameters of its own; they are the same on every process."""
        if module is None:
            return None
        module.to(self.engine.device)
        return Learner(module, self.engine.prepare(sgd(module, self.config.transfer.lr, self.config.optimizer)))

    def _bare(self, role: str) -> DomainNetwork:
        network = self.engine.bare(self.networks[role])
        assert isinstance(network, DomainNetwork)
        return network

    def _score(self, role: str) -> Score:
        with self.engine.evaluating(self.networks[role]) as network:
            return score(network, self.domains["target"].splits["val"], self.engine.device)

    def _check(self, loss: Loss, phase: str, update: int, rows: Mapping[str, Tensor]) -> None:
        """Keeps the terms for the learning curve, and stops where the loss is not finite."""
        for name, term in loss.terms.items():
            self._running[name].append(term.detach())
        if torch.isfinite(loss.total):
            return
        guilty = next((name for name, term in loss.terms.items() if not torch.isfinite(term)), "total")
        pairs = [self.domains[role].train.pairs[row].id for role, chosen in rows.items() for row in chosen[:2].tolist()]
        raise DivergedError(
            f"{phase}, update {update}: the loss term '{guilty}' is {float(loss.terms.get(guilty, loss.total))} "
            f"(batch with {', '.join(pairs)} ...); try a lower rate, such as --set {phase.split()[0]}.lr=0.001"
        )

    def _curve(self, phase: str, iteration: int, update: int, updates: int) -> None:
        """A row of means over the updates since the last one, some twenty times a phase."""
        every = -(-updates // CURVE_POINTS)
        if update % every and update != updates:
            return
        means = {name: torch.stack(values).mean() for name, values in self._running.items()}
        self._running.clear()
        row = {name: float(self.engine.mean(value)) for name, value in means.items()}
        self._row(phase, iteration, update, row)

    def _row(self, phase: str, iteration: int, update: int, values: Mapping[str, float]) -> None:
        row = {"phase": phase, "iteration": iteration, "update": update, **values}
        self.history.append(row)
        if self.engine.is_main:
            for observer in self.observers:
                observer.on_metrics(row)
