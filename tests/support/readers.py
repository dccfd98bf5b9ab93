"""Every reader of files that may come from a stranger, with good files to begin from: what the fuzzers work on."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save

from dckt_core.config import Config, read_config
from dckt_core.data.feature_cache import read_segment, write_segment
from dckt_core.data.manifest import load_manifest
from dckt_core.data.sights import SIDE, Sights
from dckt_core.data.sights import _read as read_sights
from dckt_core.data.sights import _write as write_sights
from dckt_core.engine.snapshot import Snapshot, load_snapshot
from dckt_core.io.images import open_image
from dckt_core.io.tensors import load_weights, save_weights
from dckt_core.method.loop import Trainer
from dckt_core.runs.model import _read_model
from dckt_plugins.encoders.vector_files import read_vectors
from dckt_plugins.encoders.weights import read_weights
from tests.support import tiny
from tests.support.mutations import WAYS, Way, said
from tests.support.readers_search import readers_of_search
from tests.support.seals import reseal
from tests.support.trainings import trainer


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        file: the name under which it finds the file in a folder.
        read: reads the file of a folder; may raise DcktError and nothing else.
        seeds: good files.
        ways: how they are spoilt.
    """

    file: str
    read: Callable[[Path], object]
    seeds: list[bytes]
    ways: Sequence[Way] = WAYS


def readers(work: Path) -> dict[str, Reader]:
    """All of them; `work` is an empty folder, in which the good files are made."""
    (work / "a.png").write_bytes(b"not looked into")
    linear = tiny.linear(4, 2)
    made = resumable()
    return {
        "manifest": Reader("pairs.jsonl", lambda folder: load_manifest(folder / "pairs.jsonl"), manifests()),
        "config": Reader("config.toml", lambda folder: read_config(folder / "config.toml"), configs()),
        "checkpoint": Reader(
            "x.safetensors",
            lambda folder: load_weights(folder / "x.safetensors", linear),
            [written(work / "x", lambda file: save_weights(file, linear))],
        ),
        "snapshot": Reader("x.state", lambda folder: unaltered(load_snapshot(folder / "x.state")), snapshots(work)),
        "snapshot, restored": Reader("facts.json", lambda folder: restored(made, folder), [facts_of(made)], [said]),
        "feature cache": Reader("f.safetensors", cached, [features(work)]),
        "verdict cache": Reader("v.json", verdicts, [written(work / "v", write_verdicts)]),
        "model": Reader("model.json", _read_model, models()),
        "weights": Reader("w.pth", lambda folder: read_weights(folder / "w.pth"), weights()),
        "weights, safetensors": Reader(
            "w.safetensors",
            lambda folder: read_weights(folder / "w.safetensors"),
            [save({"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(2, dtype=torch.float16)})],
        ),
        "word vectors": Reader("v.txt", lambda folder: read_vectors(folder / "v.txt", {"dog"}), [TEXT_VECTORS, GLOVE]),
        "word vectors, binary": Reader("v.bin", lambda folder: read_vectors(folder / "v.bin", {"dog"}), [BINARY]),
        "word vectors, packed": Reader(
            "v", lambda folder: read_vectors(folder / "v", {"dog"}), [pack(TEXT_VECTORS) for pack in PACKINGS]
        ),
        "word vectors, fastText": Reader(
            "v", lambda folder: read_vectors(folder / "v", {"dog"}), [fasttext(buckets) for buckets in (0, 3)]
        ),
        "image": Reader("image", lambda folder: open_image(folder / "image"), images()),
        **{name: Reader(*one) for name, one in readers_of_search(work).items()},
    }


PICTURES = [Path(f"{number}.png") for number in range(3)]
TEXT_VECTORS = b"3 2\ndog 1 2\ncat 3 4\nbird 5 6\n"
GLOVE = TEXT_VECTORS.split(b"\n", 1)[1]
BINARY = b"2 2\ndog " + np.array([1, 2], "f4").tobytes() + b"\ncat " + np.array([3, 4], "f4").tobytes() + b"\n"


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("v.txt"), content)
    return file.getvalue()


PACKINGS: tuple[Callable[[bytes], bytes], ...] = (partial(gzip.compress, mtime=0), bz2.compress, lzma.compress, zipped)


def fasttext(buckets: int) -> bytes:
    """A model of two words and two values, with n-grams of 2 and 3 characters where there are buckets for them."""
    content = struct.pack("<14i", 793_712_314, 12, 2, 5, 5, 1, 5, 1, 1, 2, buckets, 2, 3 * bool(buckets), 100)
    content += struct.pack("<d3i2q", 1e-4, 2, 2, 0, 9, -1)
    content += b"".join(word + b"\0" + struct.pack("<qb", 4, 0) for word in (b"dog", b"cat"))
    matrix = np.arange(2 * (2 + buckets), dtype="<f4").tobytes()
    return content + struct.pack("<?2q", False, 2 + buckets, 2) + matrix


def written(file: Path, write: Callable[[Path], object]) -> bytes:
    write(file)
    content = file.read_bytes()
    file.unlink()
    return content


def manifests() -> list[bytes]:
    row: dict[str, Any] = {"image": "a.png", "text": "a dog", "label": "dog", "split": "train"}
    full = row | {"id": "1", "captions": ["a dog", "ein Hund"], "label": "犬"}
    lines = [json.dumps(row), json.dumps(full, ensure_ascii=False), json.dumps(row | {"split": "val", "text": ""})]
    return ["\n".join(lines).encode(), b"\xef\xbb\xbf" + "\r\n".join(lines[::-1]).encode()]


def configs() -> list[bytes]:
    return [Config.resolve(preset=preset).to_toml().encode() for preset in ("paper", "authors")]


SNAPSHOT = Snapshot({"network/a/weight": torch.ones(2, 3), "stream/a/rows": torch.arange(3)}, {"at": {"phase": "x"}})
FEATURES = torch.arange(6.0).reshape(3, 2)
ITEMS = [bytes([number]) * 32 for number in range(3)]


def write_verdicts(file: Path) -> None:
    """What was seen of three pictures."""
    write_sights(file, Sights(PICTURES, {1: "empty"}, np.zeros((3, SIDE, SIDE, 3), np.uint8), [0], [2]))


def verdicts(folder: Path) -> None:
    """With the digest that it should have, so that what comes behind it is tried."""
    reseal(folder / "v.json")
    read_sights(folder / "v.json", PICTURES)


def snapshots(work: Path) -> list[bytes]:
    return [written(work / "s", SNAPSHOT.save)]


def unaltered(snapshot: Snapshot) -> None:
    """What is taken in spite of a checksum is what was written."""
    assert snapshot.facts == SNAPSHOT.facts
    assert snapshot.tensors.keys() == SNAPSHOT.tensors.keys()
    assert all(torch.equal(snapshot.tensors[name], value) for name, value in SNAPSHOT.tensors.items())


def cached(folder: Path) -> None:
    """Features that are taken are those that were written."""
    items, rows = read_segment(folder / "f.safetensors", 2)
    assert items == ITEMS
    assert torch.equal(rows, FEATURES)


def features(work: Path) -> bytes:
    return written(work / "f.safetensors", lambda file: write_segment(file, ITEMS, FEATURES))


def models() -> list[bytes]:
    encoder = {"fingerprint": "x", "dim": 3, "trainable": True, "state": {"words": ["dog"], "size": 2, "digest": "y"}}
    model = {
        "format": 1,
        "test": "digest",
        "classes": {"source": ["a", "b"], "target": ["c"]},
        "pairs": {"source": "0", "target": "1"},
        "encoders": {"image": encoder | {"state": None}, "text": encoder},
    }
    return [json.dumps(model).encode()]


def weights() -> list[bytes]:
    found = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save({"a.weight": torch.ones(3, 2)}, buffer, _use_new_zipfile_serialization=zipped)
        found.append(buffer.getvalue())
    return found


def images() -> list[bytes]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, size=(9, 7, 3), dtype=np.uint8))
    kinds = {"JPEG": noise, "PNG": noise, "GIF": noise.quantize(16), "WEBP": noise, "BMP": noise, "TIFF": noise}
    found = []
    for kind, picture in kinds.items():
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def resumable() -> tuple[Trainer, Snapshot]:
    """A trainer, and a snapshot of one like it."""
    other, kept, _ = trainer(checkpoint_minutes=0)
    other.run()
    return trainer()[0], kept[12]


SMALL = ("stream", "running")


def facts_of(made: tuple[Trainer, Snapshot]) -> bytes:
    """The snapshot's facts and its small tensors as JSON, so that a fuzzer changes what they say and not how."""
    _, snapshot = made
    tensors = {
        name: value.tolist() for name, value in snapshot.tensors.items() if name.startswith(("stream", "running"))
    }
    return json.dumps({"facts": snapshot.facts, "tensors": tensors}).encode()


def restored(made: tuple[Trainer, Snapshot], folder: Path) -> None:
    """Restores the trainer from what the file says, where it says anything."""
    fresh, snapshot = made
    try:
        told = json.loads((folder / "facts.json").read_bytes())
        tensors = {
            name: torch.tensor(value, dtype=torch.int64 if value == [] else None)
            for name, value in told["tensors"].items()
        }
        facts = dict(told["facts"])
    except Exception:  # no JSON, or numbers that are no tensor: never gets as far as `restore`
        return
    others = {name: value for name, value in snapshot.tensors.items() if not name.startswith(SMALL)}
    fresh.restore(Snapshot({**others, **tensors}, facts))
