"""The network of one domain: two media paths of their own, one common path. Source and target have one each.

    image inputs -> encoder -> fc6 -> fc7 ─┐
                                           ├─ fc8 -> fc9 -> fc10 -> softmax
    text inputs  -> encoder -> fc6 -> fc7 ─┘

Every fc6..fc9 is Linear, BatchNorm without affine parameters, ReLU; a layer's output is the one after ReLU. Images
and texts pass the same fc8..fc10, stacked along the batch, so that BatchNorm statistics there mix both media.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dckt_core.base.rng import undrawn_linear
from dckt_core.config import NetworkConfig
from dckt_core.contract.formula import Formula, Value
from dckt_core.contract.pairs import Medium
from dckt_core.contract.protocols import Encoder, Representation

BATCH_NORM_EPS = 1e-5
BATCH_NORM_MOMENTUM = 0.1


class Outputs(NamedTuple):
    """What a network gives for n images and m texts; n or m is 0 where a medium was not given.

    The common rows hold the images first, then the texts.
    """

    image_fc6: Tensor  # [n, media_width]
    image_fc7: Tensor  # [n, media_width]
    text_fc6: Tensor  # [m, media_width]
    text_fc7: Tensor  # [m, media_width]
    common_fc8: Tensor  # [n + m, common_width]
    common_fc9: Tensor  # [n + m, common_width]
    logits: Tensor  # [n + m, C]


class Normalisation(nn.BatchNorm1d):
    """BatchNorm, by a batch's own statistics or by running ones that it shares with another domain's layer.

    Statistics over a pooled batch would want both networks to run in step, layer by layer; running ones, which each
    domain's batches move in turn, do not. They are constants in the gradient, and a variance is that within a domain's
    batches: the difference between the domains stays.
    """

    twin: tuple[Normalisation, ...] = ()  # a tuple, so that it is no part of this network

    def share(self, other: nn.Module) -> None:
        assert isinstance(other, Normalisation)
        for own, its in zip(self._running(), other._running(), strict=True):
            its.copy_(own.add_(its).div_(2))
        self.twin, other.twin = (other,), (self,)

    def forward(self, rows: Tensor) -> Tensor:
        if not (self.twin and self.training):
            return super().forward(rows)
        with torch.no_grad():
            super().forward(rows)  # moves the running statistics
            for own, its in zip(self._running(), self.twin[0]._running(), strict=True):
                its.copy_(own)
        mean, variance = (statistic.clone() for statistic in self._running())  # the next batch moves these
        return F.batch_norm(rows, mean, variance, self.weight, self.bias, training=False, eps=self.eps)

    def _running(self) -> tuple[Tensor, Tensor]:
        assert self.running_mean is not None
        assert self.running_var is not None
        return self.running_mean, self.running_var


class DomainNetwork(nn.Module):
    """One domain's network.

    Args:
        image, text: the encoders. A trainable one's module is copied into the network; a frozen one's features
            are the network's input.
        classes: C, the size of the domain's label space.
        config: widths and normalisation.
        generator: for the initial weights: He et al.'s normal initialisation over the fan-in ("MSRA"), bias 0.
    """

    def __init__(
        self, image: Encoder, text: Encoder, *, classes: int, config: NetworkConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        media, common, norm = config.media_width, config.common_width, config.batch_norm != "none"
        self.media_width = media
        self.image_encoder = copy.deepcopy(image.module) if image.trainable else nn.Identity()
        self.text_encoder = copy.deepcopy(text.module) if text.trainable else nn.Identity()
        self.text_norm = (
            Normalisation(text.dim, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM) if norm else nn.Identity()
        )
        self.image_fc6 = _fully_connected(image.dim, media, norm)
        self.image_fc7 = _fully_connected(media, media, norm)
        self.text_fc6 = _fully_connected(text.dim, media, norm)
        self.text_fc7 = _fully_connected(media, media, norm)
        self.fc8 = _fully_connected(media, common, norm)
        self.fc9 = _fully_connected(common, common, norm)
        self.fc10 = undrawn_linear(common, classes)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear) and not name.startswith(("image_encoder", "text_encoder")):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(module.bias)
        self.image_from_head = _start_from_head(self.image_fc6, self.image_fc7, image.head)
        self.text_from_head = _start_from_head(self.text_fc6, self.text_fc7, text.head)

    def forward(self, images: Tensor | None, texts: Tensor | None) -> Outputs:
        """Image inputs [n, ...] and text inputs [m, ...], either of them None, to all layers' outputs."""
        if images is None and texts is None:
            raise ValueError("a network needs images, texts or both")
        nothing = self.fc10.weight.new_zeros((0, self.media_width))
        image_fc6 = image_fc7 = text_fc6 = text_fc7 = nothing
        if images is not None:
            image_fc6 = self.image_fc6(self.image_encoder(images))
            image_fc7 = self.image_fc7(image_fc6)
        if texts is not None:
            text_fc6 = self.text_fc6(self.text_norm(self.text_encoder(texts)))
            text_fc7 = self.text_fc7(text_fc6)
        media = [rows for rows in (image_fc7, text_fc7) if len(rows)]
        common_fc8 = self.fc8(torch.cat(media))
        common_fc9 = self.fc9(common_fc8)
        logits = self.fc10(common_fc9)
        return Outputs(image_fc6, image_fc7, text_fc6, text_fc7, common_fc8, common_fc9, logits)

    def formula(self, medium: Medium, features: Value, note: Formula) -> Value | None:
        """What `represent` computes in eval mode, noted down; None where the medium's encoder trains along."""
        encoder = self.image_encoder if medium == "image" else self.text_encoder
        if not isinstance(encoder, nn.Identity):
            return None
        own = (self.image_fc6, self.image_fc7) if medium == "image" else (self.text_norm, self.text_fc6, self.text_fc7)
        value = features
        for block in (*own, self.fc8, self.fc9, self.fc10):
            for layer in block if isinstance(block, nn.Sequential) else (block,):
                value = _noted(layer, value, note)
        return note.softmax(value)

    def start_from(self, other: DomainNetwork) -> None:
        """Takes over all of another domain's weights and statistics but the classifier's."""
        state = {name: value for name, value in other.state_dict().items() if not name.startswith("fc10.")}
        self.load_state_dict(state, strict=False)

    def share_statistics(self, other: DomainNetwork) -> None:
        """From now on every layer of both is normalised by one set of running statistics, their mean to begin with."""
        for name, module in self.named_modules():
            if isinstance(module, Normalisation):
                module.share(other.get_submodule(name))

    @property
    def dim(self) -> int:
        """C, the width of a common representation."""
        return self.fc10.out_features

    @torch.no_grad()
    def represent(self, images: Tensor | None, texts: Tensor | None) -> Representation:
        """Common representations, the softmax class probabilities: image [n, C] and text [m, C], float32.

        Each medium is encoded by itself; the network is expected to be in eval mode.
        """
        nothing = self.fc10.weight.new_zeros((0, self.fc10.out_features))
        return Representation(
            nothing if images is None else self(images, None).logits.float().softmax(dim=1),
            nothing if texts is None else self(None, texts).logits.float().softmax(dim=1),
        )


def _noted(layer: nn.Module, value: Value, note: Formula) -> Value:
    match layer:
        case nn.Linear():
            return note.linear(value, layer.weight.T, layer.bias)
        case Normalisation():
            mean, variance = layer._running()
            factor = (variance + layer.eps).rsqrt()
            value = note.standardise(value, mean, factor if layer.weight is None else factor * layer.weight)
            return value if layer.bias is None else note.standardise(value, -layer.bias, torch.ones_like(layer.bias))
        case nn.ReLU():
            return note.relu(value)
        case nn.Identity():
            return value
        case _:
            raise NotImplementedError(f"no step is known for {type(layer).__name__}")


def _fully_connected(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = [undrawn_linear(inputs, outputs)]
    if norm:
        layers.append(Normalisation(outputs, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM, affine=False))
    return nn.Sequential(*layers, nn.ReLU())


@torch.no_grad()
def _start_from_head(fc6: nn.Sequential, fc7: nn.Sequential, head: Sequence[nn.Linear]) -> int:
    """Copies pretrained layers into fc6 and fc7 in order, up to the first that does not fit; how many were copied."""
    copied = 0
    for block, pretrained in zip((fc6, fc7), head, strict=False):
        linear = block[0]
        assert isinstance(linear, nn.Linear)
        if linear.weight.shape != pretrained.weight.shape:
            break
        linear.weight.copy_(pretrained.weight)
        linear.bias.copy_(pretrained.bias)
        copied += 1
    return copied
