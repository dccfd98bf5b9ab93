"""Tensors on disk: safetensors only, so that reading a stranger's file runs none of their code, and never without a
look at the checksum.

Beside its tensors a file holds facts: whatever JSON holds. Its header has one entry, `dckt`: a checksum of all the rest
(XXH3 of 128 bits), a blank, and JSON with the kind of the file, the format number of that kind, and the facts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dckt_core.base.errors import DataError, StorageError, one_line
from dckt_core.io.files import is_endless, write_atomically
from dckt_core.io.json import check_format
from dckt_core.io.text import parse_json

WEIGHTS, WEIGHTS_FORMAT = "file of weights", 1
UNREADABLE = (SafetensorError, OSError, RuntimeError, ValueError)
"""torch opens a file a second time, to map it, and has errors of its own where it has gone in between."""
_ENTRY = "dckt"


def save_tensors(
    file: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any] | None = None, *, kind: str, format: int
) -> str:
    """Writes tensors by name, from any device, and facts, atomically.

    Args:
        kind: what the file is, for whoever reads another one by mistake: `checkpoint`.
        format: counts up with every change of what is in files of this kind.

    Returns:
        The checksum, 32 hexadecimal digits.

    Raises:
        StorageError: it cannot be written.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    about = json.dumps({"kind": kind, "format": format, "facts": dict(facts or {})})
    checksum = _checksum(stored, about)
    header = {_ENTRY: f"{checksum} {about}"}  # one entry: safetensors writes several in any order

    def write(temporary: Path) -> None:
        try:
            save_file(stored, temporary, metadata=header)
        except SafetensorError as error:  # so it tells of a full disk
            raise StorageError(file, one_line(str(error))) from error

    write_atomically(file, write)
    return checksum


def load_tensors(file: Path, *, kind: str, format: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads back the tensors, on the CPU, and the facts that `save_tensors` wrote.

    Raises:
        DataError: the file is missing, broken, altered, of another kind or of another format.
    """
    if is_endless(file):
        raise DataError(f"{file}: no file")
    try:
        with safe_open(file, framework="pt") as stored:
            checksum, _, text = (stored.metadata() or {}).get(_ENTRY, "").partition(" ")
            about = parse_json(text)
            if not isinstance(about, dict) or not isinstance(about.get("facts"), dict):
                raise ValueError("its header holds no facts")
            if about.get("kind") != kind:
                raise DataError(f"{file}: of another kind: '{about.get('kind')}', not '{kind}'")
            check_format(about.get("format"), format, file, f"a whole {kind}")
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        if checksum != _checksum(tensors, text):
            raise ValueError("its checksum does not fit")
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except UNREADABLE as error:
        raise DataError(f"{file}: not a whole {kind}: {one_line(str(error))}") from None
    return tensors, about["facts"]


def peek(file: Path, name: str) -> Tensor:
    """One tensor of a file, without a look at the checksum: enough to see whether the whole is worth reading.

    Raises:
        DataError: the file is missing or broken, or has no such tensor.
    """
    if is_endless(file):
        raise DataError(f"{file}: no file")
    try:
        with safe_open(file, framework="pt") as stored:
            tensor: Tensor = stored.get_tensor(name)
            return tensor
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except UNREADABLE as error:
        raise DataError(f"{file}: cannot be used: {one_line(str(error))}") from None


def save_weights(file: Path, module: nn.Module) -> None:
    """A module's parameters and buffers, atomically."""
    save_tensors(file, module.state_dict(), kind=WEIGHTS, format=WEIGHTS_FORMAT)


def load_weights(file: Path, module: nn.Module) -> None:
    """Reads back what `save_weights` wrote.

    Raises:
        DataError: as `load_tensors`; or the weights are another network's, or hold numbers that are not finite.
    """
    tensors, _ = load_tensors(file, kind=WEIGHTS, format=WEIGHTS_FORMAT)
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ tensors.keys()):
        fault = "lacks" if name in expected else "has an unknown"
        raise DataError(f"{file}: weights of another network: it {fault} tensor '{name}'")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            found, wanted = tuple(tensor.shape), tuple(expected[name].shape)
            raise DataError(f"{file}: weights of another network: '{name}' has shape {found}, not {wanted}")
        if tensor.dtype != expected[name].dtype:
            raise DataError(f"{file}: '{name}' holds {tensor.dtype}, not {expected[name].dtype}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DataError(f"{file}: '{name}' holds numbers that are not finite")
    module.load_state_dict(tensors)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Names tensors by their names and what they hold, in whichever order: 64 hexadecimal digits."""
    return _digest(tensors, hashlib.sha256())


def weights_digest(module: nn.Module) -> str:
    """Names a module's parameters and buffers by what they hold: 64 hexadecimal digits."""
    return tensors_digest(module.state_dict())


def _checksum(tensors: Mapping[str, Tensor], about: str) -> str:
    """Finds what befell a file. Names are made by `tensors_digest`, which nobody can forge; that takes far longer."""
    return str(xxhash.xxh3_128_hexdigest(f"{_digest(tensors, xxhash.xxh3_128())} {about}".encode()))


def _digest(tensors: Mapping[str, Tensor], digest: Any) -> str:
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return str(digest.hexdigest())
