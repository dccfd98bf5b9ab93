"""The data of a task without its training: domains as inputs of networks, features of frozen encoders in the cache."""

from __future__ import annotations

from pathlib import Path

from dckt_core.base.device import find_device
from dckt_core.base.errors import UsageError
from dckt_core.base.progress import Progress, silent
from dckt_core.config import Config
from dckt_core.contract.discovery import Registry
from dckt_core.contract.pairs import Role
from dckt_core.contract.protocols import EncoderContext
from dckt_core.data.checks import check_trainable
from dckt_core.data.domain import Domain, make_domain
from dckt_core.data.sources import load_screened, splits_used, training_texts
from dckt_core.runs.parts import Plugins

ROLES: tuple[Role, ...] = ("source", "target")


def make_domains(
    config: Config,
    roles: tuple[Role, ...] = ROLES,
    *,
    registry: Registry,
    cache_dir: Path,
    frozen: str = "",
    progress: Progress = silent,
) -> dict[Role, Domain]:
    """The domains of a run, as `dckt train` makes them: same pairs, same encoders, same cached features.

    Args:
        frozen: who it is that needs frozen encoders; nobody where empty.

    Raises:
        UsageError: an encoder trains along, and `frozen` forbids that.
        DataError, PluginError: as `dckt_core.runs.train.train`.
    """
    plugins = Plugins(config, registry)
    sets = {
        role: load_screened(config, role, registry, cache_dir=cache_dir, progress=progress).pair_set for role in ROLES
    }
    check_trainable(sets["source"], sets["target"])
    context = EncoderContext(seed=config.seed, cache_dir=cache_dir, texts=training_texts(sets.values()))
    encoders = {"image": plugins.image_encoder(context), "text": plugins.text_encoder(context)}
    for medium, choice in (("image", config.encoder), ("text", config.text_encoder)):
        if frozen and encoders[medium].trainable:
            raise UsageError(
                f"{frozen} needs frozen encoders, and the {medium} encoder '{choice.name}' trains along; give it "
                "trainable = false where it has that option, or take another one"
            )
    device = find_device(config.device)
    return {
        role: make_domain(
            role,
            sets[role],
            splits_used(role),
            image=encoders["image"],
            text=encoders["text"],
            device=device,
            batch=config.encode_batch,
            cache_dir=cache_dir,
            progress=progress,
        )
        for role in roles
    }
