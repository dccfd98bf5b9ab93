"""Weights on disk: safetensors only, so that reading a stranger's file runs none of their code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dckt_core.base.errors import DataError
from dckt_core.io.files import write_atomically


def save_weights(path: Path, module: nn.Module, metadata: Mapping[str, str] | None = None) -> None:
    """A module's parameters and buffers, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    said = dict(metadata) if metadata else None  # safetensors writes a broken header for no tensors and empty metadata
    write_atomically(path, lambda temporary: save_file(tensors, temporary, metadata=said))


def load_weights(path: Path, module: nn.Module) -> None:
    """Reads back what `save_weights` wrote.

    Raises:
        DataError: the file is missing or broken, belongs to another network, or holds numbers that are not finite.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a whole safetensors file: {' '.join(str(error).split())}") from None
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ tensors.keys()):
        fault = "lacks" if name in expected else "has an unknown"
        raise DataError(f"{path}: weights of another network: it {fault} tensor '{name}'")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            found, wanted = tuple(tensor.shape), tuple(expected[name].shape)
            raise DataError(f"{path}: weights of another network: '{name}' has shape {found}, not {wanted}")
        if tensor.dtype != expected[name].dtype:
            raise DataError(f"{path}: '{name}' holds {tensor.dtype}, not {expected[name].dtype}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DataError(f"{path}: '{name}' holds numbers that are not finite")
    module.load_state_dict(tensors)


def weights_digest(module: nn.Module) -> str:
    """Names a module's parameters and buffers by what they hold: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checkpoint_file(run_dir: Path, what: str) -> Path:
    """Where a run keeps the weights of a network: `before`, `after`, `control`, `source`, `source-before`, others."""
    return run_dir / "checkpoints" / f"{what}.safetensors"
