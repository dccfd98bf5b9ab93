"""Many paths of one list are held to what one is held to, and folders are looked at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dckt_core.io import inside
from dckt_core.io.inside import Inside
from dckt_core.io.text import check_inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    for name in ("set/a.png", "set/images/b.png", "set/images/..c.png", "outside/d.png"):
        (tmp_path / name).touch()
    (tmp_path / "set/images/link.png").symlink_to(tmp_path / "outside/d.png")
    (tmp_path / "set/images/near.png").symlink_to(tmp_path / "set/a.png")
    (tmp_path / "set/away").symlink_to(tmp_path / "outside")
    (tmp_path / "set/round").symlink_to(tmp_path / "set/images")
    return tmp_path / "set"


PATHS = [
    "a.png",
    "images/b.png",
    "images//b.png",
    "images/./b.png",
    "images/..c.png",
    "images/../a.png",
    "images/link.png",
    "images/near.png",
    "away/d.png",
    "round/b.png",
    "images",
    "images/",
    "images/none.png",
    "none/b.png",
    "/etc/passwd",
    "C:a.png",
    "images\\b.png",
    "a\0.png",
    "",
    ".",
    "..",
    "x" * 5000,
]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("path", PATHS)
def test_says_what_check_inside_says(folder, path, there):
    root = os.path.realpath(folder)

    def said(check) -> str:
        try:
            check()
        except ValueError as error:
            return str(error)
        return ""

    inside = Inside(root, "image", there=there)

    for _ in range(2):  # what is remembered changes no answer
        assert said(lambda: inside.check(path)) == said(lambda: check_inside(root, path, "image", there=there))


def test_a_folder_is_resolved_once(folder, monkeypatch):
    asked = []
    real = os.path.realpath
    monkeypatch.setattr(inside.os.path, "realpath", lambda path: asked.append(path) or real(path))
    paths = Inside(str(folder), "image")

    for _ in range(50):
        paths.check("images/b.png")
        paths.check("a.png")

    assert len(asked) == 2
