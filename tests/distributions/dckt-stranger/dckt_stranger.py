"""A plugin as a stranger would write it: an image encoder, a discrepancy, a sampler and a part, with options.

Only `dckt_core` and the names in `dckt_core.contract.protocols` are used; torch is imported when something is built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Gt, Le

from dckt_core import DiscrepancySpec, EncoderSpec, PartSpec, SamplerSpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import (
        DiscrepancyContext,
        Encoder,
        EncoderContext,
        ImageItem,
        Material,
        Medium,
        PartContext,
        SamplerContext,
        SamplerState,
        Selection,
    )

API = "1.0"


@dataclass(frozen=True)
class ThumbnailOptions:
    side: Annotated[int, Ge(2), Le(64), "thumbnails are side x side pixels"] = 8
    dim: Annotated[int, Ge(1), "width of a feature row"] = 32
    trainable: Annotated[bool, "train the projection; false keeps it as drawn"] = True


def build_thumbnail(options: ThumbnailOptions, context: EncoderContext) -> Encoder:
    """Grey thumbnails through one linear layer and a ReLU."""
    import torch
    from torch import nn

    from dckt_core import Encoder

    def prepare(items: Sequence[ImageItem]) -> Tensor:
        rows = [list(item.open().convert("L").resize((options.side, options.side)).tobytes()) for item in items]
        return torch.tensor(rows, dtype=torch.float32).reshape(len(rows), options.side**2) / 255

    inputs = options.side**2
    linear = nn.utils.skip_init(nn.Linear, inputs, options.dim)
    with torch.no_grad():
        linear.weight.normal_(0, (2 / inputs) ** 0.5, generator=context.generator("thumbnail"))
        linear.bias.zero_()
    return Encoder(
        prepare=prepare,
        module=nn.Sequential(linear, nn.ReLU()),
        dim=options.dim,
        fingerprint=f"thumbnail-1/{options.side}/{options.dim}/{context.seed}",
        trainable=options.trainable,
    )


@dataclass(frozen=True)
class PowerOptions:
    power: Annotated[float, Ge(1), Le(4), "exponent of the distance"] = 2.0


def build_mean_distance(options: PowerOptions, context: DiscrepancyContext) -> Any:
    def mean_distance(source: Tensor, target: Tensor) -> Tensor:
        """Source [n, d] and target [m, d] to the mean over d of |difference of the means| ** power."""
        return (source.mean(dim=0) - target.mean(dim=0)).abs().pow(options.power).mean()

    return mean_distance


@dataclass(frozen=True)
class ShareOptions:
    first: Annotated[float, Gt(0), Le(1), "share of the pairs in the first iteration; the last takes all"] = 0.5


class GrowingShare:
    """A random share of the pairs that grows linearly to all of them; counts how often it was asked."""

    def __init__(self, options: ShareOptions, context: SamplerContext) -> None:
        self._first, self._iterations, self._asked = options.first, context.iterations, 0

    def select(self, state: SamplerState, /) -> Selection:
        import torch

        from dckt_core import Selection

        self._asked += 1
        progress = (state.iteration - 1) / max(1, self._iterations - 1)
        count = max(1, round(len(state.labels) * (self._first + (1 - self._first) * progress)))
        order = torch.randperm(len(state.labels), generator=state.generator)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order))
        return Selection(indices=order[:count], details={"rank": rank})

    def state_dict(self) -> dict[str, Any]:
        return {"asked": self._asked}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self._asked = state["asked"]


@dataclass(frozen=True)
class PrototypeOptions:
    sharpness: Annotated[float, Gt(0), Le(100), "how much the nearest class counts beside the others"] = 10.0


class Prototypes:
    """Probabilities of the target's classes by the cosine to the mean of the labelled items of each, by medium."""

    def __init__(self, options: PrototypeOptions, context: PartContext) -> None:
        self._sharpness = options.sharpness
        self._means: dict[str, Tensor] = {}

    def fit(self, material: Material, /) -> None:
        import torch

        from dckt_core import StepAsideError

        target = material.target
        for medium, rows, labels in (
            ("image", target.images, target.image_labels),
            ("text", target.texts, target.text_labels),
        ):
            counts = torch.bincount(labels[labels >= 0], minlength=target.classes)
            if not bool(counts.all()):
                raise StepAsideError(f"not every class has a labelled {medium}")
            sums = torch.zeros(target.classes, rows.shape[1]).index_add_(0, labels[labels >= 0], rows[labels >= 0])
            self._means[medium] = sums / counts[:, None]
        material.note(f"{target.classes} classes by their means")

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor], /) -> Tensor:
        from torch.nn.functional import normalize

        means = self._means[medium].to(features.device)
        cosines = normalize(features, dim=1) @ normalize(means, dim=1).T
        return (self._sharpness * cosines).softmax(dim=1)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self._means)

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        self._means = {medium: state[medium] for medium in ("image", "text")}


@hookimpl
def dckt_encoders() -> list[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="thumbnail",
            summary="grey thumbnails through one linear layer",
            modality="image",
            options=ThumbnailOptions,
            build=build_thumbnail,
            api=API,
        )
    ]


@hookimpl
def dckt_discrepancies() -> list[DiscrepancySpec[Any]]:
    return [
        DiscrepancySpec(
            name="mean-distance",
            summary="distance of the domains' means",
            options=PowerOptions,
            build=build_mean_distance,
            api=API,
        )
    ]


@hookimpl
def dckt_samplers() -> list[SamplerSpec[Any]]:
    return [
        SamplerSpec(
            name="growing-share",
            summary="a random share that grows",
            options=ShareOptions,
            build=GrowingShare,
            api=API,
        )
    ]


@hookimpl
def dckt_parts() -> list[PartSpec[Any]]:
    return [
        PartSpec(
            name="prototypes",
            summary="classes by their means",
            options=PrototypeOptions,
            build=Prototypes,
            api=API,
            classes=True,
        )
    ]
