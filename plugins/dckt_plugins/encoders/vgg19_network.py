"""What `vgg19` builds: torchvision's network cut at a layer, its weights and its preprocessing."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from dckt_core.errors import DataError, UsageError
from dckt_core.protocols import Encoder, EncoderContext, ImageItem

if TYPE_CHECKING:
    from dckt_plugins.encoders.vgg19 import Options

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONVOLUTION_STRIDE = 32


class CutVGG19(nn.Module):
    """RGB pictures, uint8 [n, 3, s, s], to the output of a layer, after ReLU where it has one; dropout never acts.

    pool5 is flattened as it is: 512 (s // 32)^2 values. fc6 and fc7 have 4096 and see pool5 pooled to 7 x 7.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.features = network.features
        self.layer = layer
        if layer != "pool5":
            self.avgpool = network.avgpool
            self.fc6 = network.classifier[0]
        if layer == "fc7":
            self.fc7 = network.classifier[3]
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(STD)[:, None, None], persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        rows = self.features((pictures.float() / 255 - self.mean) / self.std)
        if self.layer == "pool5":
            return rows.flatten(1)
        rows = self.fc6(self.avgpool(rows).flatten(1)).relu()
        return rows if self.layer == "fc6" else self.fc7(rows).relu()


def build(options: Options, context: EncoderContext) -> Encoder:
    """The encoder; see `vgg19.Options`.

    Raises:
        UsageError: ImageNet weights cannot be downloaded.
        DataError: the weights file is missing or does not fit.
    """
    network, source = _network(options, context)
    module = CutVGG19(network, options.layer)
    linears = [network.classifier[0], network.classifier[3]]
    given = options.weights != "none"
    head = linears[{"pool5": 0, "fc6": 1, "fc7": 2}[options.layer] :] if given else []
    head = [linear for linear in head if not linear.weight.is_meta]
    places = (options.size // CONVOLUTION_STRIDE) ** 2
    return Encoder(
        prepare=lambda items: prepare(items, options.size),
        module=module,
        dim=512 * places if options.layer == "pool5" else 4096,
        fingerprint=f"vgg19/{options.layer}/{options.size}/{source}",
        trainable=options.trainable,
        head=head,
    )


def prepare(items: Sequence[ImageItem], size: int) -> Tensor:
    """Pictures as uint8 [n, 3, size, size]: the shorter side scaled to `size` (bilinear, antialiased), centre cut."""
    return torch.stack([_square(item.open(), size) for item in items])


def _square(picture: Image.Image, size: int) -> Tensor:
    width, height = picture.size
    scale = size / min(width, height)
    width, height = max(size, round(width * scale)), max(size, round(height * scale))
    left, top = (width - size) // 2, (height - size) // 2
    picture = picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()


def _network(options: Options, context: EncoderContext) -> tuple[nn.Module, str]:
    """torchvision's VGG19 with its weights, and what names them. Layers that nothing needs stay without memory."""
    from torchvision.models import vgg19

    with torch.device("meta"):
        network = vgg19(init_weights=False)
    if options.weights == "none":
        _draw_weights(network, options.layer, context)
        return network, f"random-{context.seed}"
    named = "ImageNet weights" if options.weights == "imagenet" else options.weights
    weights = _download() if options.weights == "imagenet" else read_weights(Path(options.weights))
    weights = _fitting(weights, network, options.layer, named)
    network.load_state_dict(weights, strict=False, assign=True)
    return network, _digest(weights)


def _draw_weights(network: nn.Module, layer: str, context: EncoderContext) -> None:
    """Random weights as torchvision draws them: He normal over the fan-out; fully connected ones of deviation 0.01."""
    generator = context.generator("vgg19 weights")
    depth = {"pool5": 0, "fc6": 1, "fc7": 2}[layer]
    for module in [*network.features, network.classifier[0], network.classifier[3]][: len(network.features) + depth]:
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        module.to_empty(device="cpu")
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        else:
            nn.init.normal_(module.weight, 0, 0.01, generator=generator)
        nn.init.zeros_(module.bias)


def _download() -> dict[str, Tensor]:
    """torchvision's ImageNet weights, from its cache or the network."""
    from torchvision.models import VGG19_Weights

    try:
        weights = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"VGG19's ImageNet weights cannot be downloaded ({reason}); take --encoder-opt weights=FILE for a file of "
            "them, weights=none for random ones, or another --encoder"
        ) from None
    return dict(weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors from a .safetensors file or a PyTorch state dict, which may hold tensors and nothing that runs.

    Raises:
        DataError: the file is missing, broken, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of weights (weights= takes imagenet, none or a file)")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(f"{path}: not a file of plain tensors; it may run code when loaded, so it is refused") from None
    except Exception as error:
        raise DataError(f"{path}: not a file of weights: {' '.join(str(error).split())[:200]}") from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: not a dictionary of named tensors")
    return {str(name).removeprefix("module."): value for name, value in state.items()}


def _fitting(weights: Mapping[str, Tensor], network: nn.Module, layer: str, named: str) -> dict[str, Tensor]:
    """The tensors that VGG19 has, checked; a file may leave out the classifier where nothing needs it."""
    wanted = {name: value for name, value in network.state_dict().items() if not name.startswith("classifier.6")}
    if layer == "pool5" and not any(name.startswith("classifier.") for name in weights):
        wanted = {name: value for name, value in wanted.items() if name.startswith("features.")}
    for name, value in wanted.items():
        if name not in weights:
            raise DataError(f"{named}: not VGG19's weights: '{name}' is missing")
        found = weights[name]
        if found.shape != value.shape:
            raise DataError(f"{named}: not VGG19's weights: '{name}' is {tuple(found.shape)}, not {tuple(value.shape)}")
        if not torch.isfinite(found).all():
            raise DataError(f"{named}: '{name}' holds numbers that are not finite")
    return {name: weights[name].float() for name in wanted}


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().data)
    return digest.hexdigest()[:16]
