"""Writes a small data set in each layout that data come in: twelve pictures of their own, red and blue, as people have
them. Where a layout has splits and classes they are stated.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

SIZES = {"train": 3, "val": 2, "test": 1}
COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


@dataclass(frozen=True)
class Example:
    """One pair of the small data set."""

    split: str
    label: str
    name: str
    number: int

    @property
    def text(self) -> str:
        return f"a {self.label} thing, number {self.number}"

    @property
    def captions(self) -> list[str]:
        return [self.text, f"{self.label}: {self.number}, seen again"]

    def picture(self) -> Image.Image:
        """No two are nearly the same."""
        image = Image.new("RGB", (24, 24), COLOURS[self.label])
        pen = ImageDraw.Draw(image)
        for bit in range(5):
            if self.number >> bit & 1:
                pen.rectangle([4 * bit, 0, 4 * bit + 3, 23], fill=(250, 250, 20 * bit))
        pen.rectangle([0, 3 * (self.number % 8), 23, 3 * (self.number % 8) + 2], fill=(0, 120, 0))
        return image

    def bytes(self) -> bytes:
        stream = io.BytesIO()
        self.picture().save(stream, format="PNG")
        return stream.getvalue()

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.bytes())


def examples() -> Iterator[Example]:
    number = 0
    for split, size in SIZES.items():
        for label in COLOURS:
            for _ in range(size):
                number += 1
                yield Example(split, label, f"{label}-{number:02}.png", number)


def write_table(folder: Path, **how: Any) -> Path:
    return write_rows(folder / "mine.csv", ["image", "caption", "class", "subset", "year"], **how)


def write_rows(file: Path, columns: list[str], *, images: str = "images", delimiter: str = ",", **how: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", **how) as stream:
        rows = csv.writer(stream, delimiter=delimiter)
        rows.writerow(columns)
        for one in examples():
            one.save(file.parent / images / one.name)
            rows.writerow([one.name, one.text, one.label, one.split, 2000 + one.number])
    return file


def write_open_clip(folder: Path) -> Path:
    lines = ["filepath\ttitle"]
    for one in examples():
        one.save(folder / one.name)
        lines.append(f"{one.name}\t{one.text}")
    return _text(folder / "pairs.tsv", lines)


def write_kaggle(folder: Path) -> Path:
    lines = ["image,caption"]
    for one in examples():
        one.save(folder / "Images" / one.name)
        lines += [f'{one.name},"{one.text}"', f"{one.name},{one.captions[1]}"]
    _text(folder / "captions.txt", lines)
    return folder


def write_flickr_token(folder: Path) -> Path:
    lines = []
    for one in examples():
        one.save(folder / "flickr30k-images" / one.name)
        lines += [f"{one.name}#{number}\t{caption}" for number, caption in enumerate(one.captions)]
    _text(folder / "results_20130124.token", lines)
    return folder


def write_karpathy(folder: Path) -> Path:
    words = {"train": "restval", "val": "val", "test": "test"}
    images: list[dict[str, Any]] = []
    for one in examples():
        one.save(folder / "images" / one.name)
        sentences = [{"raw": caption, "tokens": caption.split()} for caption in one.captions]
        about = {"filename": one.name, "imgid": one.number, "sentids": [1], "split": words[one.split]}
        images.append({**about, "sentences": sentences})
    _text(folder / "dataset.json", [json.dumps({"images": images, "dataset": "made"})])
    return folder


def write_coco(folder: Path) -> Path:
    for split in ("train", "val"):
        images, annotations = [], []
        for one in (one for one in examples() if one.split == split):
            one.save(folder / f"{split}2017" / one.name)
            images.append({"id": one.number, "file_name": one.name, "license": 4})
            for caption in one.captions:
                annotations.append(
                    {"image_id": one.number, "id": 100 * one.number + len(annotations), "caption": caption}
                )
        said = {"info": {"year": 2017}, "images": images, "licenses": [], "annotations": annotations}
        _text(folder / "annotations" / f"captions_{split}2017.json", [json.dumps(said)])
    return folder


def write_text_files(folder: Path) -> Path:
    for one in examples():
        one.save(folder / one.split / one.label / one.name)
        _text(folder / one.split / one.label / f"{Path(one.name).stem}.txt", one.captions)
    return folder


def write_class_folders(folder: Path) -> Path:
    for one in examples():
        one.save(folder / one.split / one.label / one.name)
    return folder


def write_hf_imagefolder(folder: Path) -> Path:
    lines: dict[str, list[str]] = {}
    for one in examples():
        place = {"val": "validation"}.get(one.split, one.split)
        one.save(folder / place / one.name)
        row = {"file_name": one.name, "text": one.text, "label": one.label, "year": 2000 + one.number}
        lines.setdefault(place, []).append(json.dumps(row))
    for place, rows in lines.items():
        _text(folder / place / "metadata.jsonl", rows)
    return folder


def write_webdataset(folder: Path) -> Path:
    for split in SIZES:
        with tarfile.open(folder / f"{split}-000000.tar", "w") as tar:
            for one in (one for one in examples() if one.split == split):
                said = json.dumps({"label": one.label, "year": 2000 + one.number}).encode()
                for suffix, content in ((".png", one.bytes()), (".txt", one.text.encode()), (".json", said)):
                    member = tarfile.TarInfo(f"{one.number:06}{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return folder


def write_hf_dataset(folder: Path) -> Path:
    import datasets

    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "label": datasets.ClassLabel(names=list(COLOURS)),
        }
    )
    parts = {}
    for split in SIZES:
        ours = [one for one in examples() if one.split == split]
        rows = {
            "image": [{"bytes": one.bytes(), "path": None} for one in ours],
            "caption": [one.text for one in ours],
            "label": [list(COLOURS).index(one.label) for one in ours],
        }
        parts["validation" if split == "val" else split] = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict(parts).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def write_parquet(folder: Path) -> Path:
    """As Hugging Face's hub has them: pictures within, classes by number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ours = list(examples())
    pictures = pa.array([{"bytes": one.bytes(), "path": one.name} for one in ours])
    table = pa.table(
        {
            "image": pictures,
            "text": [one.text for one in ours],
            "label": [list(COLOURS).index(one.label) for one in ours],
            "split": [one.split for one in ours],
            "year": [2000 + one.number for one in ours],
        }
    )
    about = {"info": {"features": {"label": {"names": list(COLOURS), "_type": "ClassLabel"}}}}
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), folder / "mine.parquet")
    return folder / "mine.parquet"


WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "table": write_table,
    "open-clip-csv": write_open_clip,
    "kaggle-captions": write_kaggle,
    "flickr-token": write_flickr_token,
    "karpathy": write_karpathy,
    "coco-captions": write_coco,
    "text-files": write_text_files,
    "class-folders": write_class_folders,
    "hf-imagefolder": write_hf_imagefolder,
    "hf-dataset": write_hf_dataset,
    "webdataset": write_webdataset,
}
"""By layout."""
NEEDED: Mapping[str, dict[str, Any]] = {
    **{name: {"split": "train"} for name in ("open-clip-csv", "kaggle-captions", "flickr-token")},
    "class-folders": {"text": "a photo of a {}"},
}
"""Options of those that do not say all that a training asks for."""


def _text(file: Path, lines: list[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file
