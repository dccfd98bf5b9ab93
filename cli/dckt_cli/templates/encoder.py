"""`my-plugin`: an image encoder for dckt. As it stands, thumbnails are the features; put your own network here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from dckt_core import EncoderSpec, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from dckt_core import Encoder, EncoderContext, ImageItem


@dataclass(frozen=True)
class Options:
    """What `--encoder-opt` takes."""

    side: Annotated[int, Ge(1), Le(256), "pixels of a side of the thumbnails"] = 8


@hookimpl
def dckt_encoders() -> list[EncoderSpec[Any]]:
    return [
        EncoderSpec(
            name="my-plugin",
            summary="thumbnails",
            modality="image",
            options=Options,
            build=build,
            api="1.0",
        )
    ]


def build(options: Options, context: EncoderContext) -> Encoder:
    """Heavy imports belong in here: then `dckt plugins` stays quick."""
    import torch
    from torch import nn

    from dckt_core import Encoder

    def prepare(items: Sequence[ImageItem]) -> Tensor:
        """Pictures of any size to one tensor [n, 3 * side * side] with values in [0, 1]."""
        size = (options.side, options.side)
        rows = [list(item.open(options.side).resize(size).tobytes()) for item in items]
        return torch.tensor(rows, dtype=torch.float32) / 255

    return Encoder(
        prepare=prepare,
        module=nn.Identity(),  # inputs [n, ...] to features [n, dim]
        dim=3 * options.side**2,
        # Names all that features depend on: weights, preprocessing, every option that matters, context.seed if used.
        fingerprint=f"my-plugin-1/{options.side}",
        # True trains a copy of the module with each domain network; False computes the features once and caches them.
        trainable=False,
    )
