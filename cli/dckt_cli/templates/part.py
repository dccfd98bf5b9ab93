"""`my-plugin`: a part of the common space for dckt. As it stands, cosines with each class's mean; put your own here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt

from dckt_core import PartSpec, StepAsideError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import Material, Medium, PartContext


@dataclass(frozen=True)
class Options:
    """What `--part-opt my-plugin.KEY=VALUE` takes."""

    temperature: Annotated[float, Gt(0), "of the cosines"] = 0.1


@hookimpl
def dckt_parts() -> list[PartSpec[Any]]:
    return [
        PartSpec(
            name="my-plugin",
            summary="nearest class means of each medium",
            options=Options,
            build=ClassMeans,
            api="1.0",
            classes=True,
        )
    ]


class ClassMeans:
    """Fitted once, then asked for rows of either medium. Draw random numbers from `material.generator` alone."""

    def __init__(self, options: Options, context: PartContext) -> None:
        self.temperature = options.temperature
        self.means: dict[Medium, Tensor] = {}

    def fit(self, material: Material, /) -> None:
        import torch

        known = material.target
        media: dict[Medium, tuple[Tensor, Tensor]] = {
            "image": (known.images, known.image_labels),
            "text": (known.texts, known.text_labels),
        }
        for medium, (features, labels) in media.items():
            of_class = [features[labels == number] for number in range(known.classes)]
            if not all(map(len, of_class)):
                raise StepAsideError(f"not every class has a labelled {medium}")
            self.means[medium] = torch.stack([rows.mean(dim=0) for rows in of_class])

    def rows(self, medium: Medium, features: Tensor, before: Mapping[str, Tensor], /) -> Tensor:
        from torch.nn.functional import normalize

        cosines = normalize(features, dim=1) @ normalize(self.means[medium], dim=1).T  # [n, C]
        return (cosines / self.temperature).softmax(dim=1)

    def state_dict(self) -> dict[str, Tensor]:
        """All that `rows` depends on; kept with the run."""
        return {"image": self.means["image"], "text": self.means["text"]}

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        self.means = {"image": state["image"], "text": state["text"]}
