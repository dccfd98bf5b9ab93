"""docs/evaluation.md: its example runs, and its figures are those that come out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from dckt_core.contract.protocols import Representation
from dckt_core.evaluation.figures import FIGURES
from dckt_core.evaluation.tasks import evaluate

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text("utf-8")


def test_the_example_runs() -> None:
    generator = torch.Generator().manual_seed(0)
    names: dict[str, Any] = {
        "view": Representation(torch.randn(6, 3, generator=generator), torch.randn(6, 3, generator=generator)),
        "labels": torch.tensor([0, 0, 1, 1, -1, 0]),
        "ids": list("abcdef"),
        "pictures": torch.tensor([0, 0, 1, 2, 3, 4]),
        "texts": torch.arange(6),
    }
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example, names)
    assert len(names["result"].labelled) == 5


def test_every_figure_by_instance_is_explained() -> None:
    said = PAGE[PAGE.index("## By instance") : PAGE.index("## Ties")].replace(
        "recall@1, @5, @10", "recall@1, recall@5, recall@10"
    )
    assert all(title in said for title in FIGURES.values())


def test_the_figures_of_ties() -> None:
    """In the file's order a query's own class stands together: behind those of all classes before it."""
    rows = {line.split("|")[1].strip(): line for line in PAGE.splitlines() if line.startswith("| mAP ")}
    told = {name: [float(cell) for cell in line.split("|")[2:5]] for name, line in rows.items()}
    by_file, here = [], []
    for classes in (5, 20, 100):
        labels = torch.arange(1000) * classes // 1000
        same = torch.ones(1000, 2)
        row = evaluate(
            Representation(same, same), labels, list(map(str, range(1000))), tasks=["image_to_text"]
        ).summary(0)
        here.append(round(row["image_to_text"].map or 0, 3))
        size = 1000 // classes
        nth = torch.arange(1, size + 1, dtype=torch.float64)
        aps = [float((nth / (size * before + nth)).mean()) for before in range(classes)]
        by_file.append(round(sum(aps) / classes, 3))
    assert told == {"mAP in the order of the file": by_file, "mAP here, and chance": here}


def test_the_figures_of_one_picture_in_several_pairs() -> None:
    lifted, across, honest = [], [], []
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn(200, 40, generator=generator).repeat_interleave(5, 0)
        view = Representation(image, torch.randn(1000, 40, generator=generator))
        pictures, ids = torch.arange(1000) // 5, list(map(str, range(1000)))
        tasks = ["image_to_image", "text_to_image"]
        by_row = evaluate(view, pictures % 10, ids, tasks=tasks).tasks
        once = evaluate(view, pictures % 10, ids, pictures=pictures, tasks=tasks[:1]).tasks["image_to_image"]
        lifted.append(float(by_row["image_to_image"].ranking.ap.mean()))
        across.append(float(by_row["text_to_image"].ranking.ap.mean()))
        honest.append(float((once.ranking.ap - once.chance).mean()))
    means = [f"{sum(values) / len(values):.3f}"[1:] for values in (lifted, across)]
    chances = [f"{float(by_row[task].chance.mean()):.3f}"[1:] for task in tasks]
    assert [means[0], chances[0]] == [
        "." + found for found in re.findall(r"mAP comes to \.(\d+) where chance is \.(\d+)", PAGE)[0]
    ]
    (found,) = re.findall(
        r"score \.(\d+) in\s+text->image where chance, of items that stand anywhere, is \.(\d+)", PAGE
    )
    assert [means[1], chances[1]] == ["." + figure for figure in found]
    assert abs(sum(honest) / len(honest)) < 0.004
