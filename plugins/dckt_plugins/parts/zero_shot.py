"""The part `zero-shot`: features as the encoders give them, where these share a space, less what sets the media apart.

Images and texts of such encoders lie in two cones apart from one another (Liang et al., "Mind the gap", NeurIPS 2022),
so each medium's mean over training items is taken off. Guard: images must lie nearer to their own texts than to others.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from dckt_core import MEDIA, Formula, Known, Material, Medium, PartContext, StepAsideError, Value
from dckt_plugins.parts.base import by_medium
from dckt_plugins.parts.catalogue import ZeroShotOptions

DRAWS = 20
FEWEST = 8
"""Items of a medium, or pairs; of fewer a mean and a guard mean little."""


class ZeroShotPart:
    """Places that nothing was learnt for, but where each medium's middle lies."""

    def __init__(self, options: ZeroShotOptions) -> None:
        self._options = options
        self._middle: dict[Medium, Tensor] = {}

    def fit(self, material: Material) -> None:
        """Steps aside where images do not find their texts better than chance."""
        known = _with_items(material)
        self._middle = {
            medium: F.normalize(features, dim=1).mean(dim=0)
            if self._options.centre and len(features)
            else torch.zeros(features.shape[1])
            for medium, (features, _) in by_medium(known).items()
        }
        judges = [domain for domain in (material.target, material.source) if domain.pairs >= FEWEST]
        if not judges:
            material.note(f"neither domain has {FEWEST} pairs to judge the space by")
            return
        pairs = judges[0].pairs
        images = self._place("image", judges[0].images[:pairs])
        texts = self._place("text", judges[0].texts[:pairs])
        judged = matching(images, texts, material.generator("pairs"))
        if judged < self._options.known:
            raise StepAsideError(
                f"images lie no nearer to their own texts than to others ({judged:+.1f} standard deviations, and "
                f"{self._options.known:g} are wanted)"
            )
        material.note(f"images lie nearer to their own texts than to others by {judged:.0f} standard deviations")

    def _place(self, medium: Medium, features: Tensor) -> Tensor:
        return F.normalize(F.normalize(features.float(), dim=1) - self._middle[medium], dim=1)

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor]) -> Tensor:
        """Features [n, d] to unit rows [n, d]."""
        return self._place(medium, features.cpu())

    def formula(self, medium: Medium, features: Value, before: Mapping[str, Value], note: Formula) -> Value:
        """What `rows` computes."""
        middle = self._middle[medium]
        return note.unit(note.standardise(note.unit(features), middle, torch.ones_like(middle)))

    def state_dict(self) -> dict[str, Tensor]:
        return {medium: self._middle[medium] for medium in MEDIA}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self._middle = {medium: state[medium] for medium in MEDIA}


def _with_items(material: Material) -> Known:
    """The domain whose items tell where a medium's middle lies: the target, where it has some."""
    target = material.target
    return target if min(len(target.images), len(target.texts)) >= FEWEST else material.source


def matching(images: Tensor, texts: Tensor, generator: torch.Generator) -> float:
    """How much nearer unit images [n, d] lie to their own texts [n, d] than to shuffled ones, in standard deviations
    of the shuffled.
    """
    shuffled = [texts[torch.randperm(len(texts), generator=generator)] for _ in range(DRAWS)]
    chance = torch.stack([(images.double() * other).sum(dim=1).mean() for other in shuffled])
    own = (images.double() * texts).sum(dim=1).mean()
    return float((own - chance.mean()) / chance.std().clamp_min(1e-12))


def build(options: ZeroShotOptions, context: PartContext) -> ZeroShotPart:
    return ZeroShotPart(options)
