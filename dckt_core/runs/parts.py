"""From a configuration's names to live objects, through the registry: data sets, encoders, networks, the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dckt_core.base.errors import PluginError, UsageError
from dckt_core.base.memory import advising
from dckt_core.base.progress import logger
from dckt_core.base.rng import generator_for
from dckt_core.config import Config, Part, PluginChoice
from dckt_core.contract.discovery import Registered, Registry, blame
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.contract.options import parse_options
from dckt_core.contract.protocols import (
    DiscrepancyContext,
    Encoder,
    EncoderContext,
    ObserverContext,
    SamplerContext,
)
from dckt_core.data.domain import Domain
from dckt_core.data.sources import find_dataset
from dckt_core.method.correlation import Correlation
from dckt_core.method.network import LAYERS, DomainNetwork
from dckt_core.method.space import CommonSpace

CORRELATION_PAIRS = 4096
"""Of features with more values than this so many pairs are correlated: time grows with the smaller number's cube."""


def resolve_config(registry: Registry, **layers: Any) -> Config:
    """`Config.resolve` with the target data set's own settings in their place."""
    config = Config.resolve(**layers)
    registered, _ = find_dataset(config.target, registry)
    return Config.resolve(**layers, settings=registered.spec.settings) if registered.spec.settings else config


# --- plugins' objects -----------------------------------------------------------------------------------------


class Plugins:
    """The chosen plugins with their options checked: a typo is found before any work is done.

    Attributes:
        config: the configuration with every option of every chosen plugin spelled out, defaults included.
    """

    def __init__(self, config: Config, registry: Registry) -> None:
        kinds = {"encoder": "encoder", "text_encoder": "encoder", "discrepancy": "discrepancy", "sampler": "sampler"}
        self._chosen = {role: _parse(registry, kind, getattr(config, role)) for role, kind in kinds.items()}
        self._observers = [_parse(registry, "observer", choice) for choice in config.observers]
        self.config = config.model_copy(
            update={role: _spelled_out(*chosen) for role, chosen in self._chosen.items()}
            | {"observers": tuple(_spelled_out(*chosen) for chosen in self._observers)}
        )
        for role, modality, flag in (("encoder", "image", "--encoder"), ("text_encoder", "text", "--text-encoder")):
            spec = self._chosen[role][0].spec
            if spec.modality != modality:
                raise UsageError(
                    f"{flag} takes an encoder of {modality}s, and '{spec.name}' is one of {spec.modality}s"
                )

    def image_encoder(self, context: EncoderContext) -> Encoder:
        return self._encoder("encoder", context)

    def text_encoder(self, context: EncoderContext) -> Encoder:
        return self._encoder("text_encoder", context)

    def _encoder(self, role: str, context: EncoderContext) -> Encoder:
        registered, options = self._chosen[role]
        with blame(registered):
            encoder = registered.spec.build(options, context)
            if not isinstance(encoder, Encoder):
                raise PluginError(f"build must return an Encoder, not {type(encoder).__name__}")
        return replace(encoder, plugin=str(registered))

    def discrepancy(self) -> GuardedDiscrepancy:
        registered, options = self._chosen["discrepancy"]
        network, transfer = self.config.network, self.config.transfer
        widths = {name: network.common_width if name.startswith("common_") else network.media_width for name in LAYERS}
        layers = {name: widths[name] for name in self.config.loss.attachments()}
        updates = transfer.iterations * transfer.updates
        with blame(registered):
            context = DiscrepancyContext(seed=self.config.seed, layers=layers, updates=updates)
            return GuardedDiscrepancy(registered.spec.build(options, context), registered)

    def sampler(self) -> GuardedSampler:
        registered, options = self._chosen["sampler"]
        with blame(registered):
            context = SamplerContext(iterations=self.config.transfer.iterations)
            return GuardedSampler(registered.spec.build(options, context), registered)

    def observers(self, run_dir: Path) -> list[GuardedObserver]:
        observers = []
        for registered, options in self._observers:
            with blame(registered):
                observer = registered.spec.build(options, ObserverContext(run_dir=run_dir))
            observers.append(GuardedObserver(observer, registered))
        return observers


def _parse(registry: Registry, kind: str, choice: PluginChoice) -> tuple[Registered, Any]:
    registered = registry.find(kind, choice.name)
    return registered, parse_options(registered.spec, choice.options, where=f"{kind} '{choice.name}'")


def _spelled_out(registered: Registered, options: Any) -> PluginChoice:
    return PluginChoice(name=registered.name, **asdict(options))


def make_networks(
    config: Config, image: Encoder, text: Encoder, classes: Mapping[str, int]
) -> dict[str, DomainNetwork]:
    """A fresh network for each domain."""
    network = config.network
    advice = (
        f"try a smaller network.media_width or network.common_width (now {network.media_width} and "
        f"{network.common_width})"
    )
    with advising(lambda: "for the networks", advice):
        return {
            role: DomainNetwork(
                image, text, classes=count, config=network, generator=generator_for(config.seed, f"{role} network")
            )
            for role, count in classes.items()
        }


def make_correlation(
    config: Config, encoders: Mapping[str, Encoder], source: Domain, target: Domain
) -> Correlation | None:
    """The correlation of the training pairs of both domains, or None where the configuration gives it no weight.

    Raises:
        UsageError: an encoder trains along, so that its features are not there yet.
    """
    choice = config.representation
    if not choice.correlation:
        return None
    for flag, medium in (("--encoder", "image"), ("--text-encoder", "text")):
        if encoders[medium].trainable:
            raise UsageError(
                f"representation.correlation = {choice.correlation} needs encoders that do not train along: give "
                f"{flag} another one or the option trainable=false, or set representation.correlation to 0"
            )
    domains = {"source": source, "target": target}
    rows = {role: torch.arange(len(domain.train)) for role, domain in domains.items()}
    widest = max(encoders[medium].dim for medium in ("image", "text"))
    if widest > CORRELATION_PAIRS:
        rows = _some_rows(rows, CORRELATION_PAIRS)
    count = sum(map(len, rows.values()))
    logger.info("correlation of images and texts: %d pairs, up to %d values each", count, widest)
    advice = f"set representation.correlation to 0 (now {choice.correlation}), or take an encoder with fewer values"
    with advising(lambda: "in the correlation of images and texts", advice):
        images = torch.cat([domain.train.image[rows[role]] for role, domain in domains.items()])
        texts = torch.cat([domain.train.text[rows[role]] for role, domain in domains.items()])
        correlation = Correlation(encoders["image"].dim, encoders["text"].dim, choice.correlation_width)
        return correlation.fit(images, texts, choice.correlation_ridge)


def _some_rows(rows: Mapping[str, Tensor], most: int) -> dict[str, Tensor]:
    """At most so many of both domains' row numbers, evenly spaced in each, half of them or more of the target's."""
    target = min(len(rows["target"]), max(most // 2, most - len(rows["source"])))
    counts = {"source": min(len(rows["source"]), most - target), "target": target}
    return {role: rows[role][torch.arange(count) * len(rows[role]) // max(count, 1)] for role, count in counts.items()}


def make_common_space(
    config: Config, networks: Mapping[str, DomainNetwork], correlation: Correlation | None, left_out: Iterable[Part]
) -> CommonSpace:
    """The common space after transfer, without the parts that validation left out."""
    parts = config.representation.without(left_out)
    return CommonSpace(networks["target"], parts, source=networks.get("source"), correlation=correlation)
