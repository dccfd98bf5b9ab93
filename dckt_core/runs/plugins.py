"""The plugins that a configuration names, with their options checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dckt_core.base.errors import PluginError, UsageError
from dckt_core.config import Config, PartChoice, PluginChoice
from dckt_core.contract.discovery import Registered, Registry, blame
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.contract.names import LAYERS, is_common
from dckt_core.contract.options import parse_options
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import (
    DiscrepancyContext,
    Encoder,
    EncoderContext,
    ObserverContext,
    SamplerContext,
)
from dckt_core.space.parts import ChosenPart


class Plugins:
    """The chosen plugins with their options checked: a typo is found before any work is done.

    Attributes:
        config: the configuration with every option of every chosen plugin spelled out, defaults included.
    """

    def __init__(self, config: Config, registry: Registry) -> None:
        kinds = {"encoder": "encoder", "text_encoder": "encoder", "discrepancy": "discrepancy", "sampler": "sampler"}
        for role, flag in (("encoder", "--encoder"), ("text_encoder", "--text-encoder")):
            _refuse_model_name(registry, getattr(config, role).name, flag)
        self._chosen = {role: _parse_choice(registry, kind, getattr(config, role)) for role, kind in kinds.items()}
        self._observers = [_parse_choice(registry, "observer", choice) for choice in config.observers]
        parts = config.space.parts
        self._parts = {name: _parse(registry, "part", name, part.options) for name, part in parts.items()}
        self.config = config.model_copy(
            update={role: _spelled_out(*chosen) for role, chosen in self._chosen.items()}
            | {"observers": tuple(_spelled_out(*chosen) for chosen in self._observers)}
            | {"space": config.space.model_copy(update={"parts": self._spelled_parts(config)})}
        )
        for role, modality in (("encoder", "image"), ("text_encoder", "text")):
            spec = self._chosen[role][0].spec
            if modality not in spec.media:
                raise UsageError(
                    f"{role} takes an encoder of {modality}s, and '{spec.name}' is one of {spec.modality}s"
                )

    def by_id(self, medium: Medium) -> bool:
        """Whether the encoder of a medium goes by the items' ids and looks at nothing else."""
        return bool(self._chosen["encoder" if medium == "image" else "text_encoder"][0].spec.by_id)

    def encoder(self, medium: Medium, context: EncoderContext) -> Encoder:
        """The encoder of a medium."""
        return make_encoder(*self._chosen["encoder" if medium == "image" else "text_encoder"], context)

    def parts(self) -> list[ChosenPart]:
        """The parts of the common space that have a weight, in their order."""
        return [
            ChosenPart(name, *self._parts[name], weight=part.weight, earn=part.earn, among=part.among)
            for name, part in self.config.space.chosen.items()
        ]

    def _spelled_parts(self, config: Config) -> dict[str, PartChoice]:
        return {
            name: PartChoice(weight=part.weight, earn=part.earn, among=part.among, **asdict(self._parts[name][1]))
            for name, part in config.space.parts.items()
        }

    def discrepancy(self) -> GuardedDiscrepancy:
        registered, options = self._chosen["discrepancy"]
        network, transfer = self.config.network, self.config.transfer
        widths = {name: network.common_width if is_common(name) else network.media_width for name in LAYERS}
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


def _parse_choice(registry: Registry, kind: str, choice: PluginChoice) -> tuple[Registered, Any]:
    return _parse(registry, kind, choice.name, choice.options)


def _parse(registry: Registry, kind: str, name: str, options: Mapping[str, Any]) -> tuple[Registered, Any]:
    registered = registry.find(kind, name)
    return registered, parse_options(registered.spec, options, where=f"{kind} '{name}'")


def _refuse_model_name(registry: Registry, name: str, flag: str) -> None:
    """Raises UsageError where no encoder has that name and one has a model of it: `--encoder resnet50`."""
    found = registry.encoder_with_model(name, "text" if flag == "--text-encoder" else "image")
    if found:
        raise UsageError(f"unknown encoder '{name}': {found.name} has it: {flag} {found.name} {flag}-opt model={name}")


def _spelled_out(registered: Registered, options: Any) -> PluginChoice:
    return PluginChoice(name=registered.name, **asdict(options))


def make_encoder(plugin: Registered, options: Any, context: EncoderContext) -> Encoder:
    """The encoder that a plugin builds, which errors call by the plugin's name.

    Raises:
        PluginError: it builds none.
    """
    with blame(plugin):
        encoder = plugin.spec.build(options, context)
        if not isinstance(encoder, Encoder):
            raise PluginError(f"build must return an Encoder, not {type(encoder).__name__}")
    return replace(encoder, plugin=str(plugin))
