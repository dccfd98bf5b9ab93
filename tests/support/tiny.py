"""Two tiny domains with made-up features, for tests of the networks and the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dckt_core.base.rng import generator_for, seeded_construction
from dckt_core.config import Config
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedSampler
from dckt_core.contract.pairs import Medium, Pair, PairSet, Role, Split
from dckt_core.contract.protocols import Encoder, Selection
from dckt_core.data.domain import Domain, Items, SplitData
from dckt_core.engine.processes import Engine
from dckt_core.method.loop import Trainer
from dckt_core.method.network import DomainNetwork

IMAGE_DIM, TEXT_DIM = 7, 5


def encoders(*, trainable: bool = False) -> tuple[Encoder, Encoder]:
    """A frozen image encoder and a text encoder; their inputs are feature rows already."""

    def encoder(dim: int) -> Encoder:
        module: nn.Module = nn.Identity()
        if trainable:
            module = nn.Linear(dim, dim, device="meta").to_empty(device="cpu")
            nn.init.eye_(module.weight)
            nn.init.zeros_(module.bias)
        return Encoder(prepare=torch.stack, module=module, dim=dim, fingerprint=f"tiny-{dim}", trainable=trainable)

    return encoder(IMAGE_DIM), encoder(TEXT_DIM)


def domain(role: Role, *, classes: int, per_class: int, seed: int = 0) -> Domain:
    """A domain whose classes are noisy points in feature space."""
    generator = generator_for(seed, role)
    centres = torch.randn(classes, IMAGE_DIM + TEXT_DIM, generator=generator)
    pairs, splits = [], {}
    for split in ("train", "val", "test"):
        labels = torch.arange(classes).repeat(per_class)
        rows = centres[labels] + 0.7 * torch.randn(len(labels), IMAGE_DIM + TEXT_DIM, generator=generator)
        members = [
            Pair(f"{role}-{split}-{n}", Path(f"{n}.png"), f"text {n}", f"class {label}", split)
            for n, label in enumerate(labels.tolist())
        ]
        pairs += members
        splits[split] = SplitData(members, rows[:, :IMAGE_DIM], rows[:, IMAGE_DIM:], labels)
    return domain_of(role, PairSet(role, "made up", pairs), splits)


def domain_of(role: Role, pair_set: PairSet, splits: Mapping[Split, SplitData]) -> Domain:
    """A domain of labelled pairs and nothing besides."""
    image, text, labels = torch.empty(0, IMAGE_DIM), torch.empty(0, TEXT_DIM), torch.empty(0, dtype=torch.int64)
    lone: dict[Medium, Items] = {"image": Items([], image, labels), "text": Items([], text, labels)}
    return Domain(role, pair_set, splits, SplitData([], image, text, labels), lone, lone["text"])


def config(**changes: Any) -> Config:
    """A configuration that trains in a moment; `changes` are dotted keys with `__` for the dot."""
    values: dict[str, Any] = {
        "network.media_width": 16,
        "network.common_width": 12,
        "pretrain.batch": 8,
        "pretrain.source_updates": 6,
        "pretrain.target_updates": 4,
        "transfer.batch": 8,
        "transfer.iterations": 2,
        "transfer.updates": 5,
        "device": "cpu",
    } | {key.replace("__", "."): value for key, value in changes.items()}
    flags: dict[str, Any] = {}
    for dotted, value in values.items():
        *tables, key = dotted.split(".")
        table = flags
        for name in tables:
            table = table.setdefault(name, {})
        table[key] = value
    return Config.resolve(preset="paper", flags=flags)


def networks(config: Config, source: Domain, target: Domain, *, trainable: bool = False) -> dict[str, DomainNetwork]:
    image, text = encoders(trainable=trainable)
    return {
        member.role: DomainNetwork(
            image,
            text,
            classes=member.classes,
            config=config.network,
            generator=generator_for(config.seed, member.role),
        )
        for member in (source, target)
    }


class Everything:
    """A sampler that keeps every third pair less at each iteration; remembers nothing."""

    def select(self, state: Any) -> Selection:
        kept = torch.arange(len(state.labels))
        scores = state.target_by_source().image.amax(dim=1)
        return Selection(indices=kept[kept % 3 != state.iteration % 3], details={"score": scores})

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def mean_distance(source: Tensor, target: Tensor) -> Tensor:
    """A discrepancy: squared distance of the means."""
    return (source.mean(dim=0) - target.mean(dim=0)).square().sum()


def guarded(sampler: Any, discrepancy: Any) -> tuple[GuardedSampler, GuardedDiscrepancy]:
    """Both behind their guards, registered as if by a stranger."""
    from dckt_core import DiscrepancySpec, SamplerSpec
    from dckt_core.contract.discovery import Registered

    specs = (
        SamplerSpec(name="tiny", summary="", build=lambda options, context: sampler, api="1.0"),
        DiscrepancySpec(name="tiny", summary="", build=lambda options, context: discrepancy, api="1.0"),
    )
    first, second = (Registered(spec, distribution="tiny", version="0", entry_point="tiny") for spec in specs)
    return GuardedSampler(sampler, first), GuardedDiscrepancy(discrepancy, second)


def trainer(
    config: Config,
    *,
    sampler: Any = None,
    discrepancy: Any = mean_distance,
    engine: Engine | None = None,
    save: Callable[[str, DomainNetwork], None] = lambda what, network: None,
    trainable: bool = False,
    **how: Any,
) -> Trainer:
    """A training of a source of 24 pairs and a target of 15; `how` is the trainer's."""
    source, target = domain("source", classes=4, per_class=6), domain("target", classes=3, per_class=5)
    guarded_sampler, guarded_discrepancy = guarded(sampler or Everything(), discrepancy)
    return Trainer(
        config,
        source=source,
        target=target,
        networks=networks(config, source, target, trainable=trainable),
        sampler=guarded_sampler,
        discrepancy=guarded_discrepancy,
        engine=engine or Engine("cpu"),
        save=save,
        **how,
    )


def split_of(member: Domain, name: Split) -> SplitData:
    return member.splits[name]


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose weights are not drawn from the global generator."""
    with seeded_construction(0, "a test"):
        return nn.Linear(inputs, outputs)
