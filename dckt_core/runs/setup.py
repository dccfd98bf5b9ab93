"""A run, set up once: from its configuration to pairs, encoders, domains, networks and the common space's parts.

Everything is made when it is first asked for, and once. Training, resuming, a trained model, `dckt gap`, the report and
experiments all begin here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from dckt_core.base.device import find_device
from dckt_core.base.errors import DataError, NothingToLearnError, UsageError
from dckt_core.base.memory import advising
from dckt_core.base.progress import logger
from dckt_core.base.rng import generator_for
from dckt_core.config import Config, PartChoice, PluginChoice, read_preset
from dckt_core.contract.discovery import Registry, load_registry
from dckt_core.contract.guards import GuardedDiscrepancy, GuardedObserver, GuardedSampler
from dckt_core.contract.pairs import MEDIA, ROLES, SPLITS, Medium, PairSet, Role, Split
from dckt_core.contract.protocols import Encoder, EncoderContext, PartContext
from dckt_core.data.checks import check_networks, check_trainable
from dckt_core.data.context import Context
from dckt_core.data.coverage import Coverage, Words, cover, recommend_vectors, tell
from dckt_core.data.cut_texts import count_cut, tell_cut
from dckt_core.data.domain import Domain, make_domain
from dckt_core.data.findings import Finding
from dckt_core.data.health import tell as tell_findings
from dckt_core.data.inference import Inference
from dckt_core.data.inspection import images_of
from dckt_core.data.leaks import leaks_from
from dckt_core.data.row_health import examine_rows
from dckt_core.data.screening import Screened, refuse_bad_images
from dckt_core.data.sights import of_both, of_pictures, sights
from dckt_core.data.sources import find_dataset, load_screened, places_of, splits_used, training_texts
from dckt_core.evaluation.scoring import MIN_RANKED, Score
from dckt_core.io.tensors import load_weights
from dckt_core.method.network import DomainNetwork
from dckt_core.runs.layout import Layout
from dckt_core.runs.plugins import Plugins
from dckt_core.runs.seal import is_finished, run_seal
from dckt_core.space.fitting import NO_SHARED_SPACE, fit_space
from dckt_core.space.material import material_of
from dckt_core.space.parts import ChosenPart
from dckt_core.space.space import Space

CHOICES: Mapping[Medium, str] = {"image": "encoder", "text": "text_encoder"}
"""Settings that say what encodes a medium."""


def resolve_config(registry: Registry | None = None, **layers: Any) -> Config:
    """`Config.resolve` with the target data set's own settings in their place.

    Args:
        registry: plugins; None for all that are installed.
        layers: as of `Config.resolve`: `preset`, `file`, `environ`, `flags`, such as
            `flags={"target": {"location": "DATA/small"}, "seed": 3}`.

    Raises:
        UsageError: an unknown key, a value out of range, a file that is no TOML; one line that names it.
        DataError: there is no such target.
    """
    registry = registry or load_registry()
    config = Config.resolve(**layers)
    registered, _ = find_dataset(config.target, registry)
    return Config.resolve(**layers, settings=registered.spec.settings) if registered.spec.settings else config


def moved(config: Config, **locations: str | None) -> Config:
    """The configuration of a run whose `source` or `target` data set lies elsewhere by now."""
    said = {role: location for role, location in locations.items() if location is not None}
    choices = {role: getattr(config, role).model_copy(update={"location": place}) for role, place in said.items()}
    return config.model_copy(update=choices)


LOOKED_AT = 20_000
"""Pictures that a run looks through at most, to find those that are nearly equal."""


class Setup:
    """Everything that a configuration names. What cannot be had raises UsageError, DataError or PluginError.

    Args:
        device: where encoders and networks run; the configuration's where None.
        states: what encoders learnt in the run that is read back, by medium; they learn anew where None.
        classes: sizes of the label spaces, where a run that is read back tells them; those of the data where None.
        domains: both domains, where they are at hand as rows: no data set is read, and no encoder runs.

    Attributes:
        config: the configuration with every option of every chosen plugin spelled out.
        at_hand: whether the domains were given, which have no files then, and maybe nothing to be scored on.
        findings: what was found of the data so far, beside what `screened` has.
    """

    def __init__(
        self,
        config: Config,
        context: Context,
        *,
        device: torch.device | None = None,
        states: Mapping[Medium, Mapping[str, Any] | None] | None = None,
        classes: Mapping[Role, int] | None = None,
        domains: Mapping[Role, Domain] | None = None,
    ) -> None:
        self.context = context
        self.device = device or find_device(config.device)
        self.plugins = Plugins(config, context.registry)
        self.config = self.plugins.config
        self._states, self._classes = states, classes
        self._domains: dict[Role, Domain] = dict(domains or {})
        self._screened = {role: Screened(domain.pair_set) for role, domain in self._domains.items()}
        self.at_hand = domains is not None
        self.findings: dict[Role, list[Finding]] = {role: [] for role in ROLES}

    # --- data -----------------------------------------------------------------------------------------------

    def screened(self, role: Role) -> Screened:
        """The good pairs of a data set, and what was dropped."""
        if role not in self._screened:
            self._screened[role] = load_screened(
                self.config, role, self.context, pictures=not self.plugins.by_id("image")
            )
        return self._screened[role]

    def pairs(self, role: Role) -> PairSet:
        """The good pairs of a data set, as the run is offered them."""
        return self.screened(role).pair_set

    @property
    def pair_sets(self) -> dict[Role, PairSet]:
        return {role: self.pairs(role) for role in ROLES}

    @cached_property
    def encoders(self) -> dict[Medium, Encoder]:
        """Both encoders; one that learns from texts learns from the training texts of both domains."""
        new = self._states is None
        texts = training_texts(self.pair_sets.values()) if new else []
        target = self.pairs("target") if new else None
        names = [name for label in target.classes for name in target.names_of(label)] if target else []
        shared: dict[Any, Any] = {}
        made: dict[Medium, Encoder] = {}
        for medium in MEDIA:
            state = None if self._states is None else self._states[medium]
            said = EncoderContext(
                seed=self.config.seed,
                cache_dir=self.context.cache_dir,
                medium=medium,
                texts=texts,
                names=names,
                places=places_of(self.config, self.context.registry),
                state=state,
                shared=shared,
            )
            made[medium] = self.plugins.encoder(medium, said)
        return made

    @property
    def same_space(self) -> bool:
        """Whether features of images and of texts lie in one space, where their cosine compares them."""
        image, text = self.encoders["image"], self.encoders["text"]
        trained = image.trainable or text.trainable  # a copy that is trained leaves the space
        return image.space is not None and (image.space, image.dim) == (text.space, text.dim) and not trained

    @property
    def compares(self) -> bool:
        """Whether a part compares images and texts by features that lie in one space, for which nothing is learnt."""
        return any(part.plugin.spec.same_space for part in self.parts) and self.same_space

    @property
    def inference(self) -> Inference:
        """How frozen encoders compute."""
        return Inference(self.config.encode_precision, self.config.encode_compiled)

    def domain(self, role: Role) -> Domain:
        """A data set as features of frozen encoders, or as inputs of those that train along."""
        if role not in self._domains:
            self._domains[role] = make_domain(
                role,
                self.pairs(role),
                splits_used(role),
                image=self.encoders["image"],
                text=self.encoders["text"],
                device=self.device,
                batch=self.config.encode_batch,
                cache_dir=self.context.cache_dir,
                how=self.inference,
                progress=self.context.progress,
                prompts=self.config.prompts,
            )
        return self._domains[role]

    @cached_property
    def coverages(self) -> dict[Role, dict[Split, Coverage]]:
        """How many words of each domain's texts the text encoder has vectors for, by split; lone texts are training
        ones. Empty where it does not go by words, or the domains are at hand as rows.
        """
        words = None if self.at_hand else self.encoders["text"].words
        return {role: self._coverage(role, words) for role in ROLES} if words else {}

    def _coverage(self, role: Role, words: Words) -> dict[Split, Coverage]:
        return {split: cover(words, texts) for split, texts in self._texts(role).items() if texts}

    def _texts(self, role: Role) -> dict[Split, list[str]]:
        """The texts that the run encodes, by split."""
        pairs = self.pairs(role)
        items = {split: pairs.training if split == "train" else pairs.split(split) for split in splits_used(role)}
        return {split: [item.text for item in found if item.text is not None] for split, found in items.items()}

    def _check_widths(self) -> None:
        """Raises UsageError where encoders are said to share a space, and their rows differ in width."""
        image, text = self.encoders["image"], self.encoders["text"]
        if image.space is not None and image.space == text.space and image.dim != text.dim:
            raise UsageError(
                f"both encoders are said to lie in space '{image.space}', and their rows have {image.dim} and "
                f"{text.dim} values"
            )

    def _check_words(self) -> None:
        """Says how many words of the texts have vectors; raises DataError where the target's are all unknown."""
        for role, coverage in self.coverages.items():
            if not coverage:
                continue
            tell(role, {str(split): one for split, one in coverage.items()})
            train = coverage.get("train")
            if role == "target" and train and train.words and not train.known:
                raise DataError(
                    f"{self.pairs(role).origin}: none of the {train.words:,} words of its training texts has a vector: "
                    "give text_encoder.vectors a file of their language, or take another text_encoder"
                )
            if role == "target" and train and self.encoders["text"].learns_words:
                recommend_vectors(role, train.words)

    @cached_property
    def cut_texts(self) -> dict[Role, int]:
        """How many texts of each domain are longer than the text encoder reads; empty where nobody knows."""
        cut = None if self.at_hand else self.encoders["text"].cut
        return {role: count_cut(cut, chain(*self._texts(role).values())) for role in ROLES} if cut else {}

    def check(self) -> None:
        """Passes where the data can be learnt from and scored; says what there is. Domains at hand need no test split.

        Raises:
            DataError: they cannot.
        """
        withheld = self.config.offer.source_items == "none"
        try:
            check_trainable(None if withheld else self.pairs("source"), self.pairs("target"), scored=not self.at_hand)
        except NothingToLearnError:
            if not self.compares:
                raise
        for role, pair_set in self.pair_sets.items():
            counts = ", ".join(f"{len(pair_set.split(split))} {split}" for split in SPLITS)
            logger.info("%s: %s, %d classes, pairs: %s", role, pair_set.origin, len(pair_set.classes), counts)
        self._check_both()
        self._check_widths()
        self._check_words()
        for role, count in self.cut_texts.items():
            tell_cut(role, count, sum(map(len, self._texts(role).values())))
        if self.encoders["image"].trainable and self.config.on_error == "fail":
            cache_dir, progress = self.context.cache_dir, self.context.progress
            for role, pair_set in self.pair_sets.items():
                refuse_bad_images(pair_set, splits_used(role), cache_dir=cache_dir, progress=progress)
        trained = [CHOICES[medium] for medium in MEDIA if self.encoders[medium].trainable]
        for part in self.parts:
            if trained and not part.plugin.spec.networks:
                raise UsageError(
                    f"part '{part.name}' needs encoders that do not train along: take another {trained[0]}, or give it "
                    f"trainable = false, or leave the part out (space.parts.{part.name}.weight = 0)"
                )
        if self.trains_networks and self.without_networks:
            asked = [part.name for part in self.parts if not part.plugin.spec.networks]
            if not asked:
                raise NothingToLearnError(
                    f"{self.without_networks}; preset = 'tuned' does without the method's networks"
                )

    def _check_both(self) -> None:
        """Looks for pictures and texts of the target that the source is learnt from, and through the pictures."""
        if self.at_hand:
            return
        source, target = self.pairs("source"), self.pairs("target")
        self._find("target", leaks_from(source, target))
        paths = images_of([*target.pairs, *source.training])
        if self.plugins.by_id("image") or not paths:
            return
        if len(paths) > LOOKED_AT:
            logger.info("%d pictures are more than are compared by their look; dckt datasets check does", len(paths))
            return
        seen = sights(paths, cache_dir=self.context.cache_dir, progress=self.context.progress)
        self._find("source", of_pictures(seen, source, splits_used("source")))
        self._find("target", [*of_pictures(seen, target, SPLITS), *of_both(seen, source, target)])

    def check_rows(self) -> None:
        """Looks through the features of both domains, which are computed or read for it."""
        by_id = [medium for medium in MEDIA if self.plugins.by_id(medium)]
        for role, found in examine_rows({role: self.domain(role) for role in ROLES}, by_id).items():
            self._find(role, found)

    def _find(self, role: Role, found: Iterable[Finding]) -> None:
        found = list(found)
        tell_findings(self.pairs(role).origin, found)
        self.findings[role] += found

    def require_frozen(self, who: str) -> None:
        """Raises UsageError where an encoder trains along, and `who` needs features."""
        choices: dict[Medium, PluginChoice] = {"image": self.config.encoder, "text": self.config.text_encoder}
        for medium, choice in choices.items():
            if self.encoders[medium].trainable:
                raise UsageError(
                    f"{who} needs frozen encoders, and the {medium} encoder '{choice.name}' trains along; give it "
                    "trainable = false where it has that option, or take another one"
                )

    # --- the method's networks ------------------------------------------------------------------------------

    @cached_property
    def trains_networks(self) -> bool:
        """Whether a part of the common space asks for the method's networks."""
        return any(part.plugin.spec.networks for part in self.parts)

    @cached_property
    def without_networks(self) -> str:
        """Why the method's networks cannot be trained on these data; empty where they can."""
        try:
            check_networks(self.pairs("source"), self.pairs("target"))
        except DataError as error:
            return str(error)
        asked = [part for part in self.parts if part.plugin.spec.networks]
        if all(part.earn for part in asked) and len(self.pairs("target").labelled("val")) < MIN_RANKED:
            return "they have to earn their place on labelled validation pairs, and there are too few"
        return ""

    def networks(self, roles: Sequence[Role] = ROLES) -> dict[Role, DomainNetwork]:
        """A fresh network for each domain; the same initial weights at every call."""
        network = self.config.network
        advice = (
            f"try a smaller network.media_width or network.common_width (now {network.media_width} and "
            f"{network.common_width})"
        )
        with advising(lambda: "for the networks", advice):
            return {
                role: DomainNetwork(
                    self.encoders["image"],
                    self.encoders["text"],
                    classes=self._classes[role] if self._classes else len(self.pairs(role).classes),
                    config=network,
                    generator=generator_for(self.config.seed, f"{role} network"),
                )
                for role in roles
            }

    def kept_network(self, run_dir: Path, what: str, role: Role) -> DomainNetwork:
        """A network as a run kept it, in eval mode.

        Args:
            what: as `Layout.checkpoint` takes it.

        Raises:
            DataError: there is none, or it is broken or another one.
        """
        network, file = self.networks((role,))[role], Layout(run_dir).checkpoint(what)
        if is_finished(run_dir):
            run_seal(run_dir).check(file)
        load_weights(file, network)
        return network.to(self.device).eval()

    def sampler(self) -> GuardedSampler:
        return self.plugins.sampler()

    def discrepancy(self) -> GuardedDiscrepancy:
        return self.plugins.discrepancy()

    def observers(self, run_dir: Path) -> list[GuardedObserver]:
        return self.plugins.observers(run_dir)

    # --- the common space -----------------------------------------------------------------------------------

    @cached_property
    def parts(self) -> list[ChosenPart]:
        """The parts of the common space that have a weight, in their order."""
        return self.plugins.parts()

    def _is_the_presets(self, part: str) -> bool:
        """Whether a part counts as much as the preset says, so that nobody asked for it."""
        usual = read_preset(self.config.preset)["space"]["parts"].get(part)
        if usual is None:
            return False
        counts = [(one.weight, one.earn, one.among) for one in (PartChoice(**usual), self.config.space.parts[part])]
        return counts[0] == counts[1]

    def fit_space(self, networks: Mapping[Role, DomainNetwork]) -> tuple[Space, Score | None]:
        """The common space as validation chose it, and its score there: see `space.fitting.fit_space`.

        Parts for encoders that share a space step aside where they share none; those that nobody asked for, being as
        the preset has them, without a word.

        Args:
            networks: those of both domains, where they were trained.
        """
        untrained = "" if networks else self.without_networks
        aside = {part.name: untrained for part in self.parts if part.plugin.spec.networks and untrained}
        parts = self.parts
        if not self.same_space:
            parts = [part for part in parts if not (part.plugin.spec.same_space and self._is_the_presets(part.name))]
            aside |= {part.name: NO_SHARED_SPACE for part in parts if part.plugin.spec.same_space}
        return fit_space(
            parts,
            PartContext(seed=self.config.seed, networks=networks),
            material_of(self.domain, self.sampler(), seed=self.config.seed, device=self.device),
            aside=aside,
            validation=self.domain("target").splits.get("val"),
            margin=self.config.space.margin,
            device=self.device,
        )
