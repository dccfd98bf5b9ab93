"""The main job: from a configuration to a run folder with a scored target network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dckt_core.assembly import Plugins, load_pair_set, make_domain, make_networks
from dckt_core.checkpoints import load_weights, save_weights
from dckt_core.config import Config
from dckt_core.data.checks import check_trainable
from dckt_core.data.domain import Domain, Role
from dckt_core.data.pairs import PairSet, Split
from dckt_core.files import write_text
from dckt_core.guards import GuardedObserver
from dckt_core.model import save_model
from dckt_core.network import DomainNetwork
from dckt_core.plugins import Registry
from dckt_core.progress import Progress, logger, silent
from dckt_core.protocols import EncoderContext
from dckt_core.rng import generator_for
from dckt_core.runs import RunFolder, check_name, default_name, environment
from dckt_core.training.engine import Engine
from dckt_core.training.scoring import compare
from dckt_core.training.trainer import Outcome, Trainer
from dckt_core.training.views import represent


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
    """
    started = time.monotonic()
    engine = Engine(config.device, config.precision)
    name = engine.from_main(name or default_name())
    if engine.is_main:
        check_name(runs_dir, name)
    plugins = Plugins(config, registry)
    config = plugins.config
    source_set = load_pair_set(config.source, registry, cache_dir=cache_dir, progress=progress)
    target_set = load_pair_set(config.target, registry, cache_dir=cache_dir, progress=progress)
    check_trainable(source_set, target_set)
    for role, pair_set in (("source", source_set), ("target", target_set)):
        counts = ", ".join(f"{len(pair_set.split(split))} {split}" for split in ("train", "val", "test"))
        logger.info("%s: %s, %d classes, pairs: %s", role, pair_set.origin, len(pair_set.classes), counts)

    texts = [pair.text for pair_set in (source_set, target_set) for pair in pair_set.split("train")]
    context = EncoderContext(seed=config.seed, cache_dir=cache_dir, texts=texts)
    image, text = plugins.image_encoder(context), plugins.text_encoder(context)

    def domain(role: Role, pair_set: PairSet, splits: Sequence[Split]) -> Domain:
        return make_domain(
            role,
            pair_set,
            splits,
            image=image,
            text=text,
            device=engine.device,
            batch=config.encode_batch,
            cache_dir=cache_dir,
            progress=progress,
        )

    source = domain("source", source_set, ["train"])
    target = domain("target", target_set, ["train", "val", "test"])
    networks = make_networks(config, image, text, {"source": source.classes, "target": target.classes})
    if image.head:
        logger.info("%d of fc6 and fc7 of the image paths start pretrained", networks["target"].image_from_head)
    sampler, discrepancy = plugins.sampler(), plugins.discrepancy()

    # The input is good: from here on there is a run folder, and only one process writes to it.
    folder = RunFolder(runs_dir, name) if engine.is_main else None
    engine.wait()
    run_dir = runs_dir / name

    def save(what: str, network: DomainNetwork) -> None:
        if folder is not None:
            save_weights(_checkpoint(run_dir, what), network)

    def work(observers: Sequence[GuardedObserver]) -> dict[str, Any]:
        trainer = Trainer(
            config,
            source=source,
            target=target,
            networks=networks,
            sampler=sampler,
            discrepancy=discrepancy,
            engine=engine,
            save=save,
            observers=observers,
            progress=progress,
        )
        outcome = trainer.run()
        engine.wait()
        summary = _summarise(config, outcome, source, target, networks["target"], run_dir, engine)
        summary["seconds"] = round(time.monotonic() - started, 1)
        return summary

    if folder is None:
        return Result(run_dir, work([]))
    with folder.recording():
        write_text(run_dir / "config.toml", config.to_toml())
        folder.write_json("env.json", environment())
        labels = {"source": list(source_set.classes), "target": list(target_set.classes)}
        save_model(run_dir, encoders={"image": image, "text": text}, classes=labels)
        observers = plugins.observers(run_dir)
        summary = work(observers)
        folder.write_json("summary.json", summary)
        for observer in observers:
            observer.on_end(summary)
    return Result(run_dir, summary)


def _summarise(
    config: Config,
    outcome: Outcome,
    source: Domain,
    target: Domain,
    network: DomainNetwork,
    run_dir: Path,
    engine: Engine,
) -> dict[str, Any]:
    """The outcome on both splits. Here, and nowhere before, the test split is scored."""
    networks = ["before", *(["control"] if outcome.control else []), "after"]
    views = {}
    for what in networks:
        load_weights(_checkpoint(run_dir, what), network)
        network.to(engine.device).eval()
        views[what] = represent(network, target.splits["test"], engine.device)
    validation: dict[str, Any] = {"before": asdict(outcome.before) | {"iteration": 0}}
    for what, best in (("control", outcome.control), ("after", outcome.after)):
        if best is not None:
            validation[what] = asdict(best.score) | {"iteration": best.iteration}
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


def _checkpoint(run_dir: Path, what: str) -> Path:
    return run_dir / "checkpoints" / f"{what}.safetensors"
