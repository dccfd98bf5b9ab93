"""The main job: from a configuration to a run folder with a scored common space."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from dckt_core.base.allocator import memory_kept
from dckt_core.base.errors import ExitCode, StoppedError, StorageError
from dckt_core.base.progress import logger
from dckt_core.base.rng import generator_for
from dckt_core.base.stopping import Stop, at_once, deferred, stopping
from dckt_core.config import Config, read_config
from dckt_core.contract.guards import GuardedObserver
from dckt_core.contract.pairs import ROLES, Role, Split
from dckt_core.contract.protocols import Representation
from dckt_core.data.contents import Contents, contents_of
from dckt_core.data.context import Context
from dckt_core.data.domain import Domain
from dckt_core.engine.processes import Engine
from dckt_core.engine.snapshot import Snapshot, SnapshotFolder
from dckt_core.evaluation.calibration import BINS, SHOWN, calibration_error, learn
from dckt_core.evaluation.scoring import MIN_RANKED
from dckt_core.evaluation.views import represent
from dckt_core.io.files import write_text
from dckt_core.io.json import write_json, write_lines
from dckt_core.io.tensors import save_weights
from dckt_core.method.loop import Trainer
from dckt_core.method.network import DomainNetwork
from dckt_core.method.state import Outcome
from dckt_core.runs.folder import (
    RunFolder,
    check_begun,
    check_name,
    default_name,
    environment,
)
from dckt_core.runs.layout import Layout
from dckt_core.runs.model import check_model, save_model
from dckt_core.runs.outcome import score_test
from dckt_core.runs.seal import seal_run
from dckt_core.runs.setup import Setup
from dckt_core.runs.summary import summarise
from dckt_core.space.space import Space


@dataclass(frozen=True)
class Result:
    """What a training leaves.

    Attributes:
        run_dir: the run's folder.
        summary: what `summary.json` in it holds.
    """

    run_dir: Path
    summary: dict[str, Any]


def train(
    config: Config, *, context: Context | None = None, runs_dir: Path | str = "runs", name: str | None = None
) -> Result:
    """Trains, scores the test split once, and leaves a run folder.

    Args:
        config: as `resolve_config` makes one.
        context: plugins, cache and progress; None for what is installed, in silence.
        runs_dir: where the run's folder is made.
        name: the folder's; None for the time it starts.

    Raises:
        UsageError, DataError, PluginError: wherever the input is to blame, before a run folder is made.
        DivergedError: a loss was not finite; what was written is moved aside.
        StoppedError: a signal asked to stop; `resume` goes on from here.
    """
    context, runs_dir = context or Context(), Path(runs_dir)
    with Engine(config.device, config.precision) as engine:
        name = engine.from_main(name or default_name())
        if engine.is_main:
            check_name(runs_dir, name)
        job = _Job(Setup(config, context, device=engine.device), engine)
        # The input is good: from here on there is a run folder, and only one process writes to it.
        folder = RunFolder.create(runs_dir, name, job.describe) if engine.is_main else None
        engine.wait()
        return job.run(runs_dir / name, folder)


def resume(run_dir: Path | str, *, context: Context | None = None) -> Result:
    """Goes on with a run that was stopped or killed, as if it never had been: on CPU every bit ends the same.

    Raises:
        UsageError: there is no such run, it is finished, or a training is at work in it.
        DataError: its data or an encoder is another one than before.
        PluginError, DivergedError, StoppedError: as `train`.
    """
    context, run_dir = context or Context(), Path(run_dir)
    check_begun(run_dir)
    config = read_config(Layout(run_dir).config)
    with Engine(config.device, config.precision) as engine:
        folder = RunFolder.reopen(run_dir) if engine.is_main else None
        engine.wait()
        job = _Job(Setup(config, context, device=engine.device), engine)
        return job.run(run_dir, folder, resumed=True)


def train_on(domains: Mapping[Role, Domain], config: Config, *, context: Context, run_dir: Path) -> Result:
    """Trains on rows at hand, into a folder that is the caller's own and there already; signals are left to the caller.

    What `load` reads lies in it then. A target without a test split is not scored: `test` of the summary is empty.

    Raises:
        UsageError, DataError, PluginError, DivergedError: as `train`; the folder is left as it is.
    """
    with Engine(config.device, config.precision) as engine:
        job = _Job(Setup(config, context, device=engine.device, domains=domains), engine, signals=False)
        Layout(run_dir).checkpoints.mkdir()
        job.describe(run_dir)
        summary = job.work(run_dir, job.setup.observers(run_dir))
        write_json(Layout(run_dir).summary, summary)
        seal_run(run_dir)
        return Result(run_dir, summary)


class _Job:
    """One training with everything that it needs, made before anything is written.

    Args:
        signals: whether Ctrl-C and SIGTERM stop it between two updates.
    """

    def __init__(self, setup: Setup, engine: Engine, *, signals: bool = True) -> None:
        self.started, self.began = datetime.now(), time.monotonic()
        self.earlier = 0.0  # seconds that a resumed run was at work before
        self.setup, self.engine, self.signals = setup, engine, signals
        setup.check()
        setup.check_rows()
        self.trains_networks = setup.trains_networks and not setup.without_networks
        if self.trains_networks:
            self.networks: dict[str, DomainNetwork] = {str(role): one for role, one in setup.networks().items()}
            if setup.encoders["image"].head:
                copied = self.networks["target"].image_from_head
                logger.info("%d of fc6 and fc7 of the image paths start pretrained", copied)
        self.sampler, self.discrepancy = setup.sampler(), setup.discrepancy()

    def describe(self, run_dir: Path) -> None:
        """Writes what the run is, before it begins."""
        setup = self.setup
        files = Layout(run_dir)
        write_text(files.config, setup.config.to_toml())
        write_json(files.environment, {"started": self.started.isoformat(timespec="seconds"), **environment()})
        save_model(run_dir, setup)
        if setup.config.on_error == "skip":
            rows = [{"role": role, **row.as_json()} for role in ROLES for row in setup.screened(role).dropped]
            write_lines(files.dropped, rows)

    def run(self, run_dir: Path, folder: RunFolder | None, *, resumed: bool = False) -> Result:
        """Trains; `folder` is None on processes that do not write."""
        if folder is None:
            return Result(run_dir, self.work(run_dir, [], resumed=resumed))
        with folder.recording(resumed=resumed):
            if resumed:
                check_model(run_dir, self.setup)
            observers = self.setup.observers(run_dir)
            summary = self.work(run_dir, observers, resumed=resumed)
            write_json(folder.files.summary, summary)
            for observer in observers:
                observer.on_end(summary)
        return Result(run_dir, summary)

    def work(self, run_dir: Path, observers: Sequence[GuardedObserver], *, resumed: bool = False) -> dict[str, Any]:
        """Trains, and leaves weights in the folder; the summary, on every process."""
        with stopping() if self.signals else nullcontext(Stop()) as stop:
            with deferred() if self.signals else nullcontext():
                outcome = self._train_networks(run_dir, observers, resumed, stop) if self.trains_networks else None
            self.engine.wait()
            # The rest needs no other process; it has the outcome from the main one.
            with at_once() if self.signals else nullcontext():
                summary = self._finish(run_dir, outcome) if self.engine.is_main else {}
            return self.engine.from_main(summary)

    def _train_networks(
        self, run_dir: Path, observers: Sequence[GuardedObserver], resumed: bool, stop: Stop
    ) -> Outcome:
        """The published method."""
        setup = self.setup
        snapshots = SnapshotFolder(Layout(run_dir).checkpoints, setup.config.checkpoints_kept)

        def save(what: str, network: DomainNetwork) -> None:
            if self.engine.is_main:
                save_weights(Layout(run_dir).checkpoint(what), network)

        def keep(snapshot: Snapshot) -> None:
            if not self.engine.is_main:
                return
            timed = replace(snapshot, facts={**snapshot.facts, "seconds": round(self._seconds(), 1)})
            try:
                snapshots.save(timed)
            except StorageError as error:  # there may be room again by the time of the next one
                logger.warning("%s; training goes on, and the checkpoint before stays the last", error)

        trainer = Trainer(
            setup.config,
            source=setup.domain("source"),
            target=setup.domain("target"),
            networks=self.networks,
            sampler=self.sampler,
            discrepancy=self.discrepancy,
            engine=self.engine,
            save=save,
            observers=observers,
            progress=setup.context.progress,
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
            with memory_kept:
                return trainer.run()
        except StoppedError as error:
            error.exit_code = ExitCode(stop.exit_code)
            raise

    def _finish(self, run_dir: Path, outcome: Outcome | None) -> dict[str, Any]:
        """The common space is fitted and chosen; then, and nowhere before, the test split is scored."""
        setup = self.setup
        test = setup.domain("target").splits["test"]
        trained: dict[str, Callable[[], DomainNetwork]] = {}
        pair: dict[Role, DomainNetwork] = {}
        if outcome is not None:
            pair = {
                "target": setup.kept_network(run_dir, "after", "target"),
                "source": setup.kept_network(run_dir, "source", "source"),
            }
            for what in ["before", *(["control"] if outcome.control else [])]:
                trained[what] = partial(setup.kept_network, run_dir, what, "target")
            trained["after"] = partial(pair.__getitem__, "target")
        space, reached = setup.fit_space(pair)
        space.save(Layout(run_dir).checkpoint("space"))
        calibration = self._calibrate(run_dir, space)
        beyond = None if trained and space.is_target_network else space
        scores: dict[str, Any] = {}
        if len(test):
            scores = score_test(trained, beyond, test, setup.device, generator_for(setup.config.seed, "bootstrap"))
        return summarise(
            setup,
            outcome,
            space,
            reached=reached if beyond else None,
            test=scores,
            calibration=calibration,
            seconds=round(self._seconds(), 1),
        )

    def _calibrate(self, run_dir: Path, space: Space) -> dict[str, Any]:
        """Learns from validation what cosines say, and measures on the test split how far that is from the truth."""
        setup, splits = self.setup, self.setup.domain("target").splits

        def look(split: Split) -> tuple[Representation, Tensor, Contents]:
            data = splits[split]
            return represent(space, data, setup.device), data.labels, contents_of(data.pairs)

        if len(splits.get("val", ())) < MIN_RANKED:
            return {}
        learnt = learn(*look("val"), generator_for(setup.config.seed, "calibration"))
        if learnt is None:
            return {}
        write_json(Layout(run_dir).calibration, asdict(learnt))
        error = calibration_error(learnt, *look("test")) if len(splits["test"]) else None
        return {"by": learnt.by, "error": error, "first": SHOWN, "bins": BINS}

    def _seconds(self) -> float:
        """How long this run has been at work, up to now or up to the checkpoint that a killed one goes on from."""
        return self.earlier + time.monotonic() - self.began


def _number(value: object) -> float:
    """A number of seconds; 0 where a checkpoint holds none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
