from pathlib import Path
from typing import Any

import pytest

from dckt_core.base.errors import DataError, PluginError, UsageError
from dckt_core.contract.discovery import Registered, Registry
from dckt_core.contract.specs import DatasetSpec
from dckt_core.data.sources import find_layout


def layout(name: str, detect: Any) -> Registered:
    spec: DatasetSpec[Any] = DatasetSpec(
        name=name, summary="", load=lambda *_: pytest.fail("loaded"), detect=detect, api="1.0"
    )
    return Registered(spec, "someone", "1.0", name)


FOLDERS = layout("folders", lambda path: path.is_dir())
XML = layout("xml", lambda path: path.suffix == ".xml")


def test_the_layout_that_recognises_the_path(tmp_path: Path) -> None:
    registry = Registry([FOLDERS, XML])
    file = tmp_path / "x.xml"
    file.touch()
    assert find_layout(tmp_path, registry) is FOLDERS
    assert find_layout(file, registry) is XML
    assert find_layout(file, registry, "folders") is FOLDERS


def test_what_nobody_or_more_than_one_recognises(tmp_path: Path) -> None:
    registry = Registry([FOLDERS, layout("others", lambda path: True)])
    with pytest.raises(DataError, match=r"more than one layout fits \(someone:folders, someone:others\)"):
        find_layout(tmp_path, registry)
    with pytest.raises(DataError, match="no known layout"):
        find_layout(tmp_path, Registry([XML]))
    with pytest.raises(DataError, match="gone: no such file or folder"):
        find_layout(tmp_path / "gone", registry)
    with pytest.raises(UsageError, match="unknown dataset 'fodlers': did you mean 'folders'"):
        find_layout(tmp_path, registry, "fodlers")


def test_a_layout_that_breaks_is_named(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"dataset 'broken' of someone 1\.0.*ZeroDivisionError"):
        find_layout(tmp_path, Registry([layout("broken", lambda path: 1 / 0)]))
