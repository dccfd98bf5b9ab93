"""Files of weights: read without running anything in them, checked against a network, and named by their content."""

from __future__ import annotations

import contextlib
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from dckt_core import DataError, UsageError

T = TypeVar("T")

ALTERNATIVES = "--encoder-opt weights=FILE for a file of them, weights=none for random ones, or another --encoder"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors from a .safetensors file or a PyTorch state dict, which may hold tensors and nothing that runs.

    Raises:
        DataError: the file is missing, broken, or holds something else.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of weights and no other choice of weights=")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise DataError(f"{path}: not a file of plain tensors; it may run code when loaded, so it is refused") from None
    except Exception as error:
        raise DataError(f"{path}: not a file of weights: {one_line(error)}") from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise DataError(f"{path}: not a dictionary of named tensors")
    named = OrderedDict((str(name).removeprefix("module."), value) for name, value in state.items())
    if hasattr(state, "_metadata"):  # the versions of the modules, which their own loading asks for
        named._metadata = state._metadata  # type: ignore[attr-defined]
    return named


def fitting(
    weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, named: str, network: str
) -> dict[str, Tensor]:
    """The wanted tensors out of `weights`, in the types of those they replace.

    Args:
        wanted: tensors of a network by name; their shapes and types count, so they may lie on the meta device.
        named: what to call the weights in an error, such as their file.
        network: what to call the network.

    Raises:
        DataError: a tensor is missing, of another shape, or holds numbers that are not finite.
    """
    for name, value in wanted.items():
        if name not in weights:
            raise DataError(f"{named}: not {network}'s weights: '{name}' is missing")
        found = weights[name]
        if found.shape != value.shape:
            raise DataError(
                f"{named}: not {network}'s weights: '{name}' is {tuple(found.shape)}, not {tuple(value.shape)}"
            )
    check_finite({name: weights[name] for name in wanted}, named=named)
    return {name: weights[name].to(value.dtype) for name, value in wanted.items()}


def check_finite(weights: Mapping[str, Tensor], *, named: str) -> None:
    """Raises DataError where a tensor holds numbers that are not finite."""
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise DataError(f"{named}: '{name}' holds numbers that are not finite")


def load_into(network: nn.Module, weights: Mapping[str, Tensor], *, named: str, network_name: str) -> None:
    """Puts all of a network's tensors in place, as `fitting` takes them out of `weights`.

    Where a name is missing the network's own loading is tried, since it may know the name of an older version.

    Raises:
        DataError: as `fitting`.
    """
    own = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    if not own.keys() <= weights.keys():
        with contextlib.suppress(RuntimeError):  # unequal shapes, which `fitting` says more clearly
            missing = set(network.load_state_dict(weights, strict=False).missing_keys)
            weights = {**weights, **{name: value for name, value in own.items() if name not in missing}}
    with torch.no_grad():
        for name, value in fitting(weights, own, named=named, network=network_name).items():
            own[name].copy_(value)


def one_line(error: BaseException, length: int = 200) -> str:
    """The text of another library's error, fit for one of ours."""
    return " ".join(str(error).split())[:length] or type(error).__name__


def downloaded(fetch: Callable[[], T], *, named: str, alternatives: str) -> T:
    """What `fetch` brings from its cache or the network.

    Raises:
        UsageError: it failed; the message names the alternatives.
    """
    try:
        return fetch()
    except Exception as error:
        raise UsageError(f"{named} cannot be downloaded ({one_line(error)}); take {alternatives}") from None
