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

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from dckt_core.base.errors import StoppedError, UsageError
from dckt_core.base.memory import advising
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.base.stopping import at_once, is_heard
from dckt_core.config import Config
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.contract.names import NETWORKS
from dckt_core.contract.pairs import ROLES
from dckt_core.contract.protocols import Selection
from dckt_core.data.domain import Domain
from dckt_core.engine.position import Position
from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Loss, Record
from dckt_core.engine.snapshot import Snapshot
from dckt_core.engine.watch import Watch
from dckt_core.evaluation.scoring import Score, score
from dckt_core.method.curriculum import LiveSamplerState, repeat_in_order
from dckt_core.method.losses import domain_loss, transfer_loss
from dckt_core.method.network import DomainNetwork
from dckt_core.method.optimizer import decayed_rate, set_rate
from dckt_core.method.state import Best, Outcome, TrainingState

Save = Callable[[str, DomainNetwork], None]
LAST_SECONDS = 60.0
"""Where the last snapshot is older at the end, there is one more."""


class Trainer:
    """Trains a target network with the help of a source domain.

    Args:
        networks: "source" and "target", fresh.
        save: called as `save("before" | "source-before" | "after" | "control" | "source", network)` whenever that
            network is the one to keep.
        keep: called with a snapshot every `config.checkpoint_minutes`, and before a stop.
        stop: asked between two updates whether to stop.
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
        keep: Callable[[Snapshot], object] = lambda snapshot: None,
        stop: Callable[[], bool] = lambda: False,
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
        self.sampler, self.discrepancy = sampler, discrepancy
        self.attachments = config.loss.attachments()
        self.engine, self.progress = engine, progress
        self.save, self.keep, self.stop = save, keep, stop
        self.record = Record(engine, observers)
        self.state = TrainingState(
            config,
            networks=networks,
            pairs={role: len(domain.train) for role, domain in self.domains.items()},
            sampler=sampler,
            discrepancy=discrepancy,
            record=self.record,
            engine=engine,
        )
        self._watch = Watch(engine, config, discrepancy.plugin)
        self._kept = time.monotonic()

    # --- the story ------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """The whole of it, or what is left of it after `restore`.

        Raises:
            MachineError: memory ran out, or another process of the training is gone.
            DivergedError: a loss, a gradient or a weight is not finite.
            PluginError: the sampler or the discrepancy broke its contract.
            StoppedError: somebody asked to stop; a snapshot was kept.
        """
        advice = (
            f"try a smaller pretrain.batch or transfer.batch (now {self.config.pretrain.batch} and "
            f"{self.config.transfer.batch}) with more accumulation, or a smaller network.media_width"
        )
        state = self.state
        with advising(lambda: f"after update {state.at.update} of '{state.at.phase}'", advice), self.engine.together():
            if state.at.phase == "pretrain source":
                self._pretrain("source", self.config.pretrain.source_updates)
                state.at = Position("pretrain target")
            if state.at.phase == "pretrain target":
                self._pretrain("target", self.config.pretrain.target_updates)
                self._end_pretraining()
            for iteration in range(state.at.iteration, self.config.transfer.iterations + 1):
                if state.at.update == 0:
                    self._select(iteration)
                self._transfer(iteration)
                self._validate(iteration)
                state.at = Position("transfer", iteration + 1)
            self._keep_before_the_end()
            return state.outcome()

    def restore(self, snapshot: Snapshot) -> None:
        """Takes back a snapshot of a trainer that was made alike; `run` then goes on where that one was.

        Raises:
            DataError: the snapshot is of another configuration.
        """
        self.state.restore(snapshot)

    # --- step 0 ---------------------------------------------------------------------------------------------

    def _pretrain(self, role: str, updates: int) -> None:
        """One network alone on its own domain: semantic and pair losses."""
        config, data, phase = self.config, self.domains[role].train, f"pretrain {role}"
        if self.state.at.update == 0:
            self.state.begin_pretraining(role)
        network, stream = self.state.networks[role], self.state.streams[role]
        for update in range(self.state.at.update + 1, updates + 1):
            for _ in self.engine.micro_batches(config.pretrain.accumulation, [network]):
                chosen = self.engine.share(stream.next())
                batch = data.batch(chosen, self.engine.device)
                outputs = network(batch.image, batch.text)
                loss = domain_loss(outputs, batch.labels, semantic_weight=1.0, pair=config.loss.pair, domain=role)
                self._note(loss, {role: chosen})
                self.engine.backward(loss.total / config.pretrain.accumulation)
            self._step(phase, update)
            self.record.curve(phase, 0, update, updates)
            self.progress(update, updates, phase)
            self._updated(Position(phase, 0, update))

    def _end_pretraining(self) -> None:
        """The target network as it is before transfer; from here on it has a twin, its control."""
        state, config = self.state, self.config
        self._watch.check_weights(state)
        with self._broken_off_at_once():
            state.before = self._score("target")
        self.save("before", state.bare("target"))
        self.save("source-before", state.bare("source"))
        self.record.row("validation", 0, 0, state.before.as_row("target"))
        if config.transfer.control:
            state.add_control()
        if config.transfer.keep_start:
            self._keep_best(0)
        if config.network.target_init == "source":
            state.bare("target").start_from(state.bare("source"))
        state.begin_transfer()
        state.at = Position("transfer", 1)

    # --- steps 1a to 1c -------------------------------------------------------------------------------------

    def _select(self, iteration: int) -> None:
        """The sampler's choice, the same on every process; kept pairs are repeated in order to the full count."""
        state, domains = self.state, self.domains
        seen = LiveSamplerState(
            iteration=iteration,
            source=(state.networks["source"], domains["source"]),
            target=(state.networks["target"], domains["target"]),
            generator=state.generators["selection"],
            engine=self.engine,
        )
        with self._broken_off_at_once():
            selection: Selection = self.engine.from_main(self.sampler.select(seen))
        pairs = domains["target"].train.pairs
        kept = self.record.selection(iteration, selection, pairs)
        logger.info("iteration %d: %d of %d target pairs kept", iteration, kept, len(pairs))
        of_source = selection.source_indices
        state.begin_iteration(
            {
                "source": torch.arange(len(domains["source"].train)) if of_source is None else of_source,
                "target": repeat_in_order(selection.indices, len(pairs)),
            }
        )

    # --- step 1d --------------------------------------------------------------------------------------------

    def _transfer(self, iteration: int) -> None:
        """The joint updates of one iteration."""
        config, engine, state = self.config.transfer, self.engine, self.state
        networks = [state.networks[role] for role in NETWORKS if role in state.networks]
        phase = f"transfer iteration {iteration} of {config.iterations}"
        for update in range(state.at.update + 1, config.updates + 1):
            done = (iteration - 1) * config.updates + update - 1
            progress = done / (config.iterations * config.updates)
            for optimizer in state.optimizers.values():
                set_rate(optimizer, decayed_rate(config.lr, config.lr_gamma, config.lr_power, done))
            for _ in engine.micro_batches(config.accumulation, networks):
                rows: dict[str, Tensor] = {role: engine.share(state.streams[role].next()) for role in ROLES}
                loss = self._joint_loss(rows, progress)
                self._note(loss, rows)
                engine.backward(loss.total / config.accumulation)
                if "control" in state.networks:
                    loss = self._target_only_loss(rows["target"])
                    self._note(loss, {"target": rows["target"]})
                    engine.backward(loss.total / config.accumulation)
            if self.discrepancy.module is not None:
                engine.average_gradients(self.discrepancy.module)
            self._step(phase, update, partial(self._joint_loss, rows, progress))
            self.record.curve("transfer", iteration, update, config.updates)
            self.progress(update, config.updates, phase)
            self._updated(Position("transfer", iteration, update))

    def _joint_loss(self, rows: Mapping[str, Tensor], progress: float) -> Loss:
        """All losses of both domains, and the discrepancy between them."""
        config = self.config
        outputs, losses = {}, []
        for role, weight in (("source", config.loss.semantic.source), ("target", config.loss.semantic.target)):
            batch = self.domains[role].train.batch(rows[role], self.engine.device)
            outputs[role] = self.state.networks[role](batch.image, batch.text)
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
        outputs = self.state.networks["control"](batch.image, batch.text)
        weight = config.loss.semantic.target
        return domain_loss(outputs, batch.labels, semantic_weight=weight, pair=config.loss.pair, domain="control")

    # --- step 1e --------------------------------------------------------------------------------------------

    def _validate(self, iteration: int) -> None:
        self._watch.check_weights(self.state)
        with self._broken_off_at_once():
            scores = self._keep_best(iteration)
        for role, reached in scores.items():
            self.record.row("validation", iteration, self.config.transfer.updates, reached.as_row(role))

    def _keep_best(self, iteration: int) -> dict[str, Score]:
        """Scores the target network and its control, and saves each where it is the best so far."""
        state, scores = self.state, {}
        for role, name in (("target", "after"), ("control", "control")):
            if role not in state.networks:
                continue
            scores[role] = self._score(role)
            if role not in state.best or scores[role].mean > state.best[role].score.mean:
                state.best[role] = Best(iteration, scores[role])
                self.save(name, state.bare(role))
                if role == "target":
                    self.save("source", state.bare("source"))
        return scores

    def _score(self, role: str) -> Score:
        """A network on the validation split."""
        with self.engine.evaluating(self.state.networks[role]) as network:
            return score(network, self.domains["target"].splits["val"], self.engine.device)

    # --- between two updates --------------------------------------------------------------------------------

    def _note(self, loss: Loss, rows: Mapping[str, Tensor]) -> None:
        """Keeps a batch's terms for the learning curve, and for `_step` to look whether they are finite."""
        self.record.note(loss.terms)

        def ids() -> list[str]:
            pairs = {role: self.domains[role].train.pairs for role in rows}
            return [pairs[role][row].id for role, chosen in rows.items() for row in chosen.tolist()]

        self._watch.saw(loss, ids)

    def _step(self, phase: str, update: int, again: Callable[[], Loss] | None = None) -> None:
        """One update of all that learns, unless something is not finite; `again` makes the last joint loss anew."""
        self._watch.check_update(self.state, phase, update, again)
        self.engine.step(self.state.optimizers.values())

    @contextmanager
    def _broken_off_at_once(self) -> Iterator[None]:
        """A block that changes no weight, and may take long: who asks to stop need not wait, and it is done anew.

        With several processes it is not broken off: they would wait for one another.
        """
        if self.engine.processes > 1 or not is_heard():
            yield
            return
        before = self.state.snapshot()  # refers to weights, which stay as they are
        before = replace(before, facts=deepcopy(dict(before.facts)))
        try:
            with at_once():
                yield
        except StoppedError as error:
            self.keep(before)
            raise StoppedError(self._stopped_at()) from error

    def _keep_before_the_end(self) -> None:
        """What comes behind the training may be stopped too: no more than a minute of this one is to be done again."""
        if self.engine.from_main(time.monotonic() - self._kept >= LAST_SECONDS):
            self.keep(self.state.snapshot())

    def _updated(self, at: Position) -> None:
        """Keeps a snapshot where it is time, and stops where that was asked for."""
        self.state.at = at
        due = time.monotonic() - self._kept >= self.config.checkpoint_minutes * 60
        asked = self.engine.from_all((self.stop(), due))  # one answer: each has its own clock, and may get the signal
        stop, due = any(stop for stop, _ in asked), asked[0][1]
        if stop or due:
            self._watch.check_weights(self.state)
            self.keep(self.state.snapshot())
            self._kept = time.monotonic()
        if stop:
            raise StoppedError(self._stopped_at())

    def _stopped_at(self) -> str:
        at = self.state.at
        return f"stopped in '{at.phase}', iteration {at.iteration}, after update {at.update}"
