"""The main job: from a configuration to a run folder with a scored target network."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from dckt_core.base.errors import ExitCode, StoppedError, StorageError
from dckt_core.base.progress import Progress, logger, silent
from dckt_core.base.rng import generator_for
from dckt_core.config import Config, read_config
from dckt_core.contract.discovery import Registry
from dckt_core.contract.guards import GuardedObserver
from dckt_core.contract.pairs import SPLITS, Role
from dckt_core.contract.protocols import EncoderContext
from dckt_core.data.checks import check_networks, check_trainable
from dckt_core.data.domain import Domain, make_domain
from dckt_core.data.screening import Screened, refuse_bad_images
from dckt_core.data.sources import load_screened, splits_used, training_texts
from dckt_core.engine.processes import Engine
from dckt_core.engine.snapshot import Snapshot, SnapshotFolder
from dckt_core.engine.stopping import stopping
from dckt_core.evaluation.scoring import compare
from dckt_core.evaluation.views import represent
from dckt_core.io.files import write_text
from dckt_core.io.json import write_json
from dckt_core.io.tensors import checkpoint_file, load_weights, save_weights
from dckt_core.method.loop import Outcome, Trainer
from dckt_core.method.network import DomainNetwork
from dckt_core.method.space import CommonSpace
from dckt_core.runs.folder import DROPPED, RunFolder, check_begun, check_name, default_name, environment
from dckt_core.runs.model import check_model, save_model
from dckt_core.runs.parts import Plugins, make_common_space, make_correlation, make_networks

ROLES: tuple[Role, ...] = ("source", "target")


@dataclass(frozen=True)
class Result:
    """Where a run is, and what `summary.json` holds."""

    run_dir: Path
    summary: dict[str, Any]


def train(
    config: Config,
    *,
    registry: Registry,
    runs_dir: Path,
    cache_dir: Path,
    name: str | None = None,
    progress: Progress = silent,
) -> Result:
    """Trains, scores the test split once, and leaves a run folder.

    Raises:
        UsageError, DataError, PluginError: wherever the input is to blame, before a run folder is made.
        DivergedError: a loss was not finite; what was written is moved aside.
        StoppedError: a signal asked to stop; `resume` goes on from here.
    """
    with Engine(config.device, config.precision) as engine:
        name = engine.from_main(name or default_name())
        if engine.is_main:
            check_name(runs_dir, name)
        job = _Job(config, engine, registry, cache_dir, progress)
        # The input is good: from here on there is a run folder, and only one process writes to it.
        folder = RunFolder.create(runs_dir, name, job.describe) if engine.is_main else None
        engine.wait()
        return job.run(runs_dir / name, folder)


def resume(run_dir: Path, *, registry: Registry, cache_dir: Path, progress: Progress = silent) -> Result:
    """Goes on with a run that was stopped or killed, as if it never had been: on CPU every bit ends the same.

    Raises:
        UsageError: there is no such run, it is finished, or a training is at work in it.
        DataError: its data or an encoder is another one than before.
        Otherwise as `train`.
    """
    check_begun(run_dir)
    config = read_config(run_dir / "config.toml")
    with Engine(config.device, config.precision) as engine:
        folder = RunFolder.reopen(run_dir) if engine.is_main else None
        engine.wait()
        return _Job(config, engine, registry, cache_dir, progress).run(run_dir, folder, resumed=True)


class _Job:
    """One training with everything that it needs, made before anything is written."""

    def __init__(self, config: Config, engine: Engine, registry: Registry, cache_dir: Path, progress: Progress) -> None:
        self.started, self.began = datetime.now(), time.monotonic()
        self.earlier = 0.0  # seconds that a resumed run was at work before
        self.engine, self.progress = engine, progress
        self.plugins = Plugins(config, registry)
        self.config = config = self.plugins.config
        self.screened: dict[str, Screened] = {
            role: load_screened(config, role, registry, cache_dir=cache_dir, progress=progress) for role in ROLES
        }
        self.pair_sets = sets = {role: screened.pair_set for role, screened in self.screened.items()}
        check_trainable(sets["source"], sets["target"])
        check_networks(sets["source"], sets["target"])
        for role, pair_set in sets.items():
            counts = ", ".join(f"{len(pair_set.split(split))} {split}" for split in SPLITS)
            logger.info("%s: %s, %d classes, pairs: %s", role, pair_set.origin, len(pair_set.classes), counts)

            context = EncoderContext(seed=config.seed, cache_dir=cache_dir, texts=training_texts(sets.values()))
        self.encoders = {"image": self.plugins.image_encoder(context), "text": self.plugins.text_encoder(context)}
        if self.encoders["image"].trainable and config.on_error == "fail":
            for role in ROLES:
                refuse_bad_images(sets[role], splits_used(role), cache_dir=cache_dir, progress=progress)

        def domain(role: Role) -> Domain:
            return make_domain(
                role,
                sets[role],
                splits_used(role),
                image=self.encoders["image"],
                text=self.encoders["text"],
                device=engine.device,
                batch=config.encode_batch,
                cache_dir=cache_dir,
                progress=progress,
            )

        self.source, self.target = domain("source"), domain("target")
        counts_of_classes: dict[str, int] = {role: len(pair_set.classes) for role, pair_set in sets.items()}
        self.networks = make_networks(config, self.encoders["image"], self.encoders["text"], counts_of_classes)
        if self.encoders["image"].head:
            copied = self.networks["target"].image_from_head
            logger.info("%d of fc6 and fc7 of the image paths start pretrained", copied)
        self.correlation = make_correlation(config, self.encoders, self.source, self.target)
        self.sampler, self.discrepancy = self.plugins.sampler(), self.plugins.discrepancy()

    def describe(self, run_dir: Path) -> None:
        """Writes what the run is, before it begins."""
        write_text(run_dir / "config.toml", self.config.to_toml())
        write_json(run_dir / "env.json", {"started": self.started.isoformat(timespec="seconds"), **environment()})
        save_model(run_dir, self.encoders, self.pair_sets)
        if self.correlation is not None:
            save_weights(checkpoint_file(run_dir, "correlation"), self.correlation)
        if self.config.on_error == "skip":
            rows = [{"role": role, **row.as_json()} for role, found in self.screened.items() for row in found.dropped]
            write_text(run_dir / DROPPED, "".join(f"{json.dumps(row)}\n" for row in rows))

    def run(self, run_dir: Path, folder: RunFolder | None, *, resumed: bool = False) -> Result:
        """Trains; `folder` is None on processes that do not write."""
        if folder is None:
            return Result(run_dir, self._work(run_dir, None, [], resumed))
        with folder.recording(resumed=resumed):
            if resumed:
                check_model(run_dir, self.encoders, self.pair_sets)
            observers = self.plugins.observers(run_dir)
            summary = self._work(run_dir, folder, observers, resumed)
            write_json(run_dir / "summary.json", summary)
            SnapshotFolder(folder.snapshots).clear()
            for observer in observers:
                observer.on_end(summary)
        return Result(run_dir, summary)

    def _work(
        self, run_dir: Path, folder: RunFolder | None, observers: Sequence[GuardedObserver], resumed: bool
    ) -> dict[str, Any]:
        snapshots = SnapshotFolder(run_dir / "checkpoints", self.config.checkpoints_kept)

        def save(what: str, network: DomainNetwork) -> None:
            if folder is not None:
                save_weights(checkpoint_file(run_dir, what), network)

        def keep(snapshot: Snapshot) -> None:
            if folder is None:
                return
            timed = replace(snapshot, facts={**snapshot.facts, "seconds": round(self._seconds(), 1)})
            try:
                snapshots.save(timed)
            except StorageError as error:  # there may be room again by the time of the next one
                logger.warning("%s; training goes on, and the checkpoint before stays the last", error)

        with stopping() as stop:
            trainer = Trainer(
                self.config,
                source=self.source,
                target=self.target,
                networks=self.networks,
                correlation=self.correlation,
                sampler=self.sampler,
                discrepancy=self.discrepancy,
                engine=self.engine,
                save=save,
                observers=observers,
                progress=self.progress,
                keep=keep,
                stop=stop,
            )
            if resumed:
                snapshot = snapshots.latest()
                if snapshot is not None:
                    trainer.restore(snapshot)
                    self.earlier = _number(snapshot.facts.get("seconds"))
                else:  # begins anew, and what observers were told is void
                    for observer in observers:
                        observer.load_state_dict(observer.state_dict())
            try:
                outcome = trainer.run()
            except StoppedError as error:
                error.exit_code = ExitCode(stop.exit_code)
                raise
        self.engine.wait()
        spaces = {
            "alone": CommonSpace(self.networks["target"], self.config.representation),
            "after": make_common_space(self.config, self.networks, self.correlation, outcome.after.left_out),
        }
        summary = _summarise(self.config, outcome, self.source, self.target, spaces, run_dir, self.engine)
        dropped = {role: len(found.dropped) for role, found in self.screened.items()}
        return {**summary, "dropped": dropped, "seconds": round(self._seconds(), 1)}

    def _seconds(self) -> float:
        """How long this run has been at work, up to now or up to the checkpoint that a killed one goes on from."""
        return self.earlier + time.monotonic() - self.began


def _number(value: object) -> float:
    """A number of seconds; 0 where a checkpoint holds none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


def _summarise(
    config: Config,
    outcome: Outcome,
    source: Domain,
    target: Domain,
    spaces: Mapping[str, CommonSpace],
    run_dir: Path,
    engine: Engine,
) -> dict[str, Any]:
    """The outcome on both splits. Here, and nowhere before, the test split is scored."""
    networks = ["before", *(["control"] if outcome.control else []), "after"]
    views = {}
    for what in networks:
        space = spaces["after" if what == "after" else "alone"]
        load_weights(checkpoint_file(run_dir, what), space.target)
        if space.source is not None:
            load_weights(checkpoint_file(run_dir, "source"), space.source)
        views[what] = represent(space.to(engine.device).eval(), target.splits["test"], engine.device)
    validation: dict[str, Any] = {"before": asdict(outcome.before) | {"iteration": 0}}
    for what, best in (("control", outcome.control), ("after", outcome.after)):
        if best is not None:
            validation[what] = asdict(best.score) | {"iteration": best.iteration}
    validation["after"]["left_out"] = list(outcome.after.left_out)
    harmed = outcome.control is not None and outcome.after.score.mean < outcome.control.score.mean
    if harmed:
        logger.warning("negative transfer: on validation the target network scores below its target-only control")
    generator = generator_for(config.seed, "bootstrap")
    return {
        "preset": config.preset,
        "seed": config.seed,
        "source": {"origin": source.pair_set.origin, "classes": source.classes, "train": len(source.train)},
        "target": {
            "origin": target.pair_set.origin,
            "classes": target.classes,
            **{split: len(data) for split, data in target.splits.items()},
        },
        "validation": validation,
        "negative_transfer": harmed,
        "test": compare(views, target.splits["test"].labels, generator),
    }
