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
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from dckt_core.base.errors import DataError, DivergedError, StoppedError, UsageError
from dckt_core.base.memory import advising
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.base.rng import generator_for
from dckt_core.config import Config, Part
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.contract.protocols import Selection
from dckt_core.data.domain import Domain
from dckt_core.engine.processes import Engine
from dckt_core.engine.record import Loss, Record
from dckt_core.engine.snapshot import Snapshot, load_momentum, momentum_tensors
from dckt_core.engine.watch import Fault, Watch, first_not_finite
from dckt_core.evaluation.scoring import Score, score
from dckt_core.method.correlation import Correlation
from dckt_core.method.curriculum import LiveSamplerState, RowStream, repeat_in_order
from dckt_core.method.losses import domain_loss, transfer_loss
from dckt_core.method.network import DomainNetwork
from dckt_core.method.optimizer import decayed_rate, set_rate, sgd
from dckt_core.method.space import CommonSpace, choices

IDS_SHOWN = 4
"""Pairs of a batch that an error names; the log names all of them."""

ROLES = ("source", "target", "control")
Save = Callable[[str, DomainNetwork], None]


@dataclass(frozen=True)
class Position:
    """How far training has come: `update` updates of a phase or iteration are done."""

    phase: str
    iteration: int = 0
    update: int = 0


@dataclass
class Best:
    """The iteration whose network scored highest on validation, and the parts that its representation does without."""

    iteration: int
    score: Score
    left_out: tuple[Part, ...] = ()


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
        correlation: of the features of both domains, where the configuration asks for it.
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
        correlation: Correlation | None = None,
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
        self.networks: dict[str, nn.Module] = {role: engine.prepare(network) for role, network in networks.items()}
        self.correlation = correlation
        self.sampler = sampler
        self.discrepancy = discrepancy
        self.engine = engine
        self.save = save
        self.progress = progress
        self.attachments = config.loss.attachments()
        self.generators = {
            purpose: generator_for(config.seed, purpose)
            for purpose in ("pretrain source", "pretrain target", "transfer source", "transfer target", "selection")
        }
        self.keep = keep
        self.stop = stop
        self.at = Position("pretrain source")
        self.before: Score | None = None
        self.best: dict[str, Best] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.streams: dict[str, RowStream] = {}
        self.record = Record(engine, observers)
        self._kept = time.monotonic()
        self._watch = Watch(engine)
        self._last_joint: tuple[Mapping[str, Tensor], float] | None = None

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
        with advising(lambda: f"after update {self.at.update} of '{self.at.phase}'", advice), self.engine.together():
            return self._run()

    def _run(self) -> Outcome:
        if self.at.phase == "pretrain source":
            self._pretrain("source", self.config.pretrain.source_updates)
            self.at = Position("pretrain target")
        if self.at.phase == "pretrain target":
            self._pretrain("target", self.config.pretrain.target_updates)
            self._end_pretraining()
        for iteration in range(self.at.iteration, self.config.transfer.iterations + 1):
            if self.at.update == 0:
                self._choose_rows(self._select(iteration))
            self._transfer(iteration)
            self._validate(iteration)
            self.at = Position("transfer", iteration + 1)
        assert self.before is not None
        return Outcome(self.before, self.best["target"], self.best.get("control"), self.record.history)

    def _end_pretraining(self) -> None:
        """The target network as it is before transfer; from here on it has a twin, its control."""
        self._check_weights()
        self.before = self._score("target")
        self.save("before", self._bare("target"))
        self.save("source-before", self._bare("source"))
        self.record.row("validation", 0, 0, self.before.as_row("target"))
        if self.config.transfer.control:
            self._add_control()
        if self.config.transfer.keep_start:
            self._keep_best(0)
        if self.config.network.target_init == "source":
            self._bare("target").start_from(self._bare("source"))
        self._begin_transfer()
        self.at = Position("transfer", 1)

    def _validate(self, iteration: int) -> None:
        self._check_weights()
        for role, reached in self._keep_best(iteration).items():
            self.record.row("validation", iteration, self.config.transfer.updates, reached.as_row(role))

    def _keep_best(self, iteration: int) -> dict[str, Score]:
        """Scores the target network and its control, and saves each where it is the best so far."""
        scores = {}
        for role, name in (("target", "after"), ("control", "control")):
            if role not in self.networks:
                continue
            reached = self._best_parts(iteration) if role == "target" else Best(iteration, self._score(role))
            scores[role] = reached.score
            if role not in self.best or reached.score.mean > self.best[role].score.mean:
                self.best[role] = reached
                self.save(name, self._bare(role))
                if role == "target":
                    self.save("source", self._bare("source"))
        return scores

    # --- step 0 ---------------------------------------------------------------------------------------------

    def _pretrain(self, role: str, updates: int) -> None:
        """One network alone on its own domain: semantic and pair losses."""
        config, data, phase = self.config, self.domains[role].train, f"pretrain {role}"
        if self.at.update == 0:
            self._begin_pretraining(role)
        network, stream = self.networks[role], self.streams[role]
        for update in range(self.at.update + 1, updates + 1):
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

    def _begin_pretraining(self, role: str) -> None:
        phase, batch = f"pretrain {role}", self.config.pretrain.batch
        rows = torch.arange(len(self.domains[role].train))
        self.streams = {role: RowStream(rows, batch, self.generators[phase])}
        self.optimizers = {role: sgd(self._bare(role), self.config.pretrain.lr, self.config.optimizer)}

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
        kept = self.record.selection(iteration, selection, pairs)
        logger.info("iteration %d: %d of %d target pairs kept", iteration, kept, len(pairs))
        return selection

    # --- step 1d --------------------------------------------------------------------------------------------

    def _begin_transfer(self) -> None:
        """Fresh momentum for every network, and for a discrepancy that has parameters of its own."""
        learning: dict[str, nn.Module] = {role: self._bare(role) for role in ROLES if role in self.networks}
        if self.discrepancy.module is not None:
            learning["discrepancy"] = self.discrepancy.module.to(self.engine.device)
        lr, choice = self.config.transfer.lr, self.config.optimizer
        self.optimizers = {name: sgd(module, lr, choice) for name, module in learning.items()}

    def _choose_rows(self, selection: Selection) -> None:
        """The source's rows, and the kept target rows repeated in order to the full count."""
        rows = {
            "source": selection.source_indices,
            "target": repeat_in_order(selection.indices, len(self.domains["target"].train)),
        }
        if rows["source"] is None:
            rows["source"] = torch.arange(len(self.domains["source"].train))
        batch = self.config.transfer.batch
        self.streams = {
            role: RowStream(chosen, batch, self.generators[f"transfer {role}"])
            for role, chosen in rows.items()
            if chosen is not None
        }

    def _transfer(self, iteration: int) -> None:
        """The joint updates of one iteration."""
        config, engine = self.config.transfer, self.engine
        networks = [self.networks[role] for role in ROLES if role in self.networks]
        phase = f"transfer iteration {iteration} of {config.iterations}"
        for update in range(self.at.update + 1, config.updates + 1):
            done = (iteration - 1) * config.updates + update - 1
            for optimizer in self.optimizers.values():
                set_rate(optimizer, decayed_rate(config.lr, config.lr_gamma, config.lr_power, done))
            for _ in engine.micro_batches(config.accumulation, networks):
                rows = {role: engine.share(self.streams[role].next()) for role in ("source", "target")}
                self._last_joint = rows, done / (config.iterations * config.updates)
                loss = self._joint_loss(*self._last_joint)
                self._note(loss, rows)
                engine.backward(loss.total / config.accumulation)
                if "control" in self.networks:
                    loss = self._target_only_loss(rows["target"])
                    self._note(loss, {"target": rows["target"]})
                    engine.backward(loss.total / config.accumulation)
            if self.discrepancy.module is not None:
                engine.average_gradients(self.discrepancy.module)
            self._step(phase, update)
            self.record.curve("transfer", iteration, update, config.updates)
            self.progress(update, config.updates, phase)
            self._updated(Position("transfer", iteration, update))

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

    # --- snapshots ------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything that the updates still to come depend on."""
        tensors = {f"generator/{name}": generator.get_state() for name, generator in self.generators.items()}
        parts: dict[str, Mapping[str, Tensor]] = {
            **{f"network/{role}": self._bare(role).state_dict() for role in self.networks},
            **{f"momentum/{name}": momentum_tensors(optimizer) for name, optimizer in self.optimizers.items()},
            **{f"stream/{role}": stream.state_dict() for role, stream in self.streams.items()},
            "discrepancy": self.discrepancy.state_dict(),
            "running": self.record.running(),
        }
        for part, members in parts.items():
            tensors |= {f"{part}/{name}": value for name, value in members.items()}
        facts = {
            "at": asdict(self.at),
            "before": asdict(self.before) if self.before else None,
            "best": {role: asdict(best) for role, best in self.best.items()},
            "history": self.record.history,
            "sampler": self.sampler.state_dict(),
            "observers": self.record.observer_states(),
            "scaler": self.engine.scaler_state(),
        }
        return Snapshot(tensors, facts)

    def restore(self, snapshot: Snapshot) -> None:
        """Takes back a snapshot of a trainer that was made alike; `run` then goes on where that one was.

        Raises:
            DataError: the snapshot is of another configuration.
        """
        try:
            facts = TypeAdapter(Facts).validate_python(dict(snapshot.facts))
            self._check_position(facts)
            self.at, self.before = facts.at, facts.before
            self.best = {str(role): best for role, best in facts.best.items()}
            if self.at.phase == "transfer":
                if self.config.transfer.control:
                    self._add_control()
                self._begin_transfer()
                self._choose_rows(Selection(indices=torch.arange(1)))
            elif self.at.update:
                self._begin_pretraining(self.at.phase.removeprefix("pretrain "))
            for role in self.networks:
                self._bare(role).load_state_dict(snapshot.under(f"network/{role}"))
            for name, optimizer in self.optimizers.items():
                load_momentum(optimizer, snapshot.under(f"momentum/{name}"))
            for role, stream in self.streams.items():
                rows = snapshot.under(f"stream/{role}")
                if any(not _are_rows(numbers, len(self.domains[role].train)) for numbers in rows.values()):
                    raise ValueError(f"it has pairs of the {role} that there are not")
                stream.load_state_dict(rows)
            for name, generator in self.generators.items():
                generator.set_state(snapshot.tensors[f"generator/{name}"])
            self.discrepancy.load_state_dict(snapshot.under("discrepancy"))
            guilty = first_not_finite(snapshot.under("network").items())
            if guilty is not None:
                raise ValueError(f"'{guilty}' holds numbers that are not finite")
            self.sampler.load_state_dict(facts.sampler)
            self.engine.load_scaler_state(facts.scaler)
            self.record.restore(facts.history, snapshot.under("running"), facts.observers)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
            raise DataError(f"the checkpoint is of another configuration: {' '.join(str(error).split())}") from None

    def _check_position(self, facts: Facts) -> None:
        """Raises ValueError where this training never comes to the place that a snapshot tells of."""
        config, at = self.config, facts.at
        updates = {
            "pretrain source": config.pretrain.source_updates,
            "pretrain target": config.pretrain.target_updates,
            "transfer": config.transfer.updates,
        }
        iterations = range(1, config.transfer.iterations + 1) if at.phase == "transfer" else range(1)
        if at.update not in range(updates.get(at.phase, -1) + 1) or at.iteration not in iterations:
            raise ValueError(f"there is no update {at.update} of iteration {at.iteration} of '{at.phase}'")
        if at.phase == "transfer" and facts.before is None:
            raise ValueError("the score before transfer is missing")

    def _updated(self, at: Position) -> None:
        """Between two updates: keeps a snapshot where it is time, and stops where that was asked for."""
        self.at = at
        due = time.monotonic() - self._kept >= self.config.checkpoint_minutes * 60
        asked = self.engine.from_all((self.stop(), due))  # one answer: each has its own clock, and may get the signal
        stop, due = any(stop for stop, _ in asked), asked[0][1]
        if stop or due:
            self._check_weights()
            self.keep(self.snapshot())
            self._kept = time.monotonic()
        if stop:
            raise StoppedError(f"stopped in '{at.phase}', iteration {at.iteration}, after update {at.update}")

    # --- helpers --------------------------------------------------------------------------------------------

    def _step(self, phase: str, update: int) -> None:
        """One update of all that learns, unless something is not finite."""
        modules = {name: self._learning(name) for name in self.optimizers}
        fault = self._watch.fault(modules)
        if fault is not None:
            raise self._diverged(phase, update, fault)
        self.engine.step(self.optimizers.values())

    def _add_control(self) -> None:
        self.networks["control"] = self.engine.prepare(deepcopy(self._bare("target")))

    def _learning(self, name: str) -> nn.Module:
        """What the optimizer of that name trains."""
        if name in self.networks:
            return self._bare(name)
        assert self.discrepancy.module is not None
        return self.discrepancy.module

    def _bare(self, role: str) -> DomainNetwork:
        network = self.engine.bare(self.networks[role])
        assert isinstance(network, DomainNetwork)
        return network

    def _score(self, role: str) -> Score:
        """A network by itself, on the validation split."""
        with self.engine.evaluating(self.networks[role]) as network:
            return score(network, self.domains["target"].splits["val"], self.engine.device)

    def _best_parts(self, iteration: int) -> Best:
        """The target network with the other parts of the common representation, less those that clearly harm."""
        networks, config = self.networks, self.config.representation
        validation, device = self.domains["target"].splits["val"], self.engine.device
        found = []
        with self.engine.evaluating(networks["target"]) as target, self.engine.evaluating(networks["source"]) as source:
            for left_out in choices(config):
                space = CommonSpace(target, config.without(left_out), source=source, correlation=self.correlation)
                found.append(Best(iteration, score(space.to(device), validation, device), left_out))
        best = max(found, key=lambda one: one.score.mean)
        return best if best.score.mean > found[0].score.mean + config.margin else found[0]

    def _note(self, loss: Loss, rows: Mapping[str, Tensor]) -> None:
        """Keeps a batch's terms for the learning curve, and for `_step` to look whether they are finite."""
        self.record.note(loss.terms)

        def ids() -> list[str]:
            pairs = {role: self.domains[role].train.pairs for role in rows}
            return [pairs[role][row].id for role, chosen in rows.items() for row in chosen.tolist()]

        self._watch.saw(loss, ids)

    def _check_weights(self) -> None:
        """Stops where a last update left weights that are not finite, before they are kept or scored.

        Raises:
            DivergedError: one is not.
        """
        parts: dict[str, Mapping[str, Tensor]] = {role: self._bare(role).state_dict() for role in self.networks}
        parts |= {f"momentum of {name}": momentum_tensors(optimizer) for name, optimizer in self.optimizers.items()}
        states = ((f"{part}.{name}", value) for part, members in parts.items() for name, value in members.items())
        guilty = next((name for name in self.engine.from_all(first_not_finite(states)) if name), None)
        if guilty is not None:
            raise self._diverged(
                self.at.phase, self.at.update, Fault(f"'{guilty}' holds numbers that are not finite", [])
            )

    def _diverged(self, phase: str, update: int, fault: Fault) -> DivergedError:
        """The error that names the update, what is not finite, the pairs, and the option to try."""
        batch = ""
        if fault.ids:
            logger.info("%s, update %d: the batch was %s", phase, update, ", ".join(fault.ids))
            more = len(fault.ids) - IDS_SHOWN
            batch = f" (batch of {', '.join(fault.ids[:IDS_SHOWN])}{f' and {more} more' if more > 0 else ''})"
        name = phase.split()[0]
        rate = {"pretrain": self.config.pretrain, "transfer": self.config.transfer}[name].lr
        advice = f"try a lower rate, such as --set {name}.lr={rate / 10:g}"
        what = fault.what
        if self._discrepancy_gave(fault):
            what += f", which {self.discrepancy.plugin} gave"
            advice += ", or a smaller loss.media.weight and loss.correlation.weight"
        if self.config.precision == "fp16":
            advice += ", or --precision bf16"
        return DivergedError(f"{phase}, update {update}: {what}{batch}; {advice}")

    def _discrepancy_gave(self, fault: Fault) -> bool:
        """Whether what is not finite is the discrepancy's own value, or comes with its gradient alone."""
        if "'discrepancy_" in fault.what:
            return True
        if "the gradient of" not in fault.what or self._last_joint is None:
            return False
        terms = self._joint_loss(*self._last_joint).terms  # once more: nothing was applied, and nothing will be
        values = [value for name, value in terms.items() if name.startswith("discrepancy_")]
        learnt = [weight for name in self.optimizers for weight in self._learning(name).parameters()]
        if not values:
            return False
        gradients = torch.autograd.grad(values, learnt, allow_unused=True)
        return first_not_finite(("", gradient) for gradient in gradients if gradient is not None) is not None


def _are_rows(numbers: Tensor, count: int) -> bool:
    """Whether these are row numbers of `count` pairs; there may be none."""
    if numbers.dtype != torch.int64 or numbers.ndim != 1:
        return False
    return len(numbers) == 0 or (int(numbers.min()) >= 0 and int(numbers.max()) < count)
