"""docs/contents.md lists what ships, all of it and nothing else."""

from __future__ import annotations

from typing import get_args

import pytest

from dckt_apps.experiment.baselines import BASELINES
from dckt_core.contract.discovery import HOOKS, discover
from dckt_kernels.options import Estimator
from tests.support.pages import ROOT, first_cells

PAGE = (ROOT / "docs/contents.md").read_text("utf-8")
HEADINGS = {
    "encoder": "Encoders",
    "discrepancy": "Discrepancies",
    "sampler": "Samplers",
    "dataset": "Data sets",
    "index": "Indexes",
    "observer": "Observers",
    "part": "Parts of the common space",
}
BOX = discover(plugins=False)


@pytest.mark.parametrize("kind", [spec.kind for spec in HOOKS.values()])
def test_every_plugin_of_the_box_has_its_line(kind: str) -> None:
    assert sorted(first_cells(PAGE, HEADINGS[kind])) == sorted(entry.spec.name for entry in BOX.all(kind))


def test_every_baseline_has_its_line() -> None:
    assert first_cells(PAGE, "Baselines of `dckt experiment`") == list(BASELINES)


def test_every_estimator_has_its_line() -> None:
    assert set(get_args(Estimator)) < set(first_cells(PAGE, "Estimators of `dckt_kernels`"))
