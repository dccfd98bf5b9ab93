"""The notebooks run, give outputs of the kinds that they hold, and weigh little."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import part
from tests.support.pages import ROOT

FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def kinds(cell: Any) -> list[str]:
    """What a cell gave, but for what goes to stderr: bars and warnings."""
    found = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            found += [output.name] if output.name != "stderr" else []
        else:
            found += sorted(output.data)
    return found


def test_each_has_its_line() -> None:
    page = (ROOT / "docs" / "notebooks.md").read_text("utf-8")
    assert sorted(re.findall(r"\]\(notebooks/([\w-]+\.ipynb)\)", page)) == [file.name for file in NOTEBOOKS]


def test_they_are_small_and_tell_of_no_machine() -> None:
    for file in NOTEBOOKS:
        text = file.read_text("utf-8")
        assert len(text) < 100_000, file
        assert not re.search(r"/(tmp|home|root|work)/", text), file


@pytest.mark.slow  # a training among them
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs(file: Path, tmp_path: Path) -> None:
    nbformat, client = part("nbformat"), part("nbclient")
    part("ipykernel")
    kept, book = nbformat.read(file, as_version=4), nbformat.read(file, as_version=4)
    client.NotebookClient(
        book, timeout=900, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert [kinds(cell) for cell in book.cells] == [kinds(cell) for cell in kept.cells]
    assert any(kinds(cell) for cell in kept.cells)
